package main

import (
	"bytes"
	"compress/zlib"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"
)

// verifyReport verifies a PDF: that its seal, which is the line before its end, is of all
// of its other bytes, and then the bundle that the seal says is in it.
func verifyReport(file []byte, key string) error {
	ends := regexp.MustCompile(`\n%tradetrail/seal/v1 ([A-Za-z0-9+/]+=*)\nstartxref\n(0|[1-9][0-9]*)\n%%EOF\n$`)
	at := ends.FindSubmatchIndex(file)
	if at == nil {
		return errors.New("it does not end with a seal")
	}
	begin, end := at[2], at[3]
	note, err := base64.StdEncoding.Strict().DecodeString(string(file[begin:end]))
	if err != nil {
		return err
	}
	text, err := signed(string(note), key)
	if err != nil {
		return fmt.Errorf("the seal: %w", err)
	}
	// No bit of the note may be another: one signature, written in one way.
	name, _, _ := strings.Cut(key, "+")
	encoded := strings.TrimPrefix(string(note), text+"\n\u2014 "+name+" ")
	if _, err := base64.StdEncoding.Strict().DecodeString(encoded[:max(0, len(encoded)-1)]); err != nil || !strings.HasSuffix(encoded, "=\n") {
		return errors.New("the seal has more than one signature, or it is written in another way")
	}
	lines := strings.Split(text, "\n")
	if len(lines) != 9 || lines[0] != "tradetrail/report/v1" {
		return errors.New("the log has signed this, and it is no seal of a report")
	}
	sum := sha256.New()
	sum.Write(file[:begin])
	sum.Write(file[end:])
	if base64.StdEncoding.EncodeToString(sum.Sum(nil)) != lines[7] {
		return errors.New("the file is not what was sealed")
	}
	offset, err := strconv.ParseUint(lines[5], 10, 62)
	if err != nil {
		return err
	}
	length, err := strconv.ParseUint(lines[6], 10, 62)
	if err != nil || offset > uint64(len(file)) || length > uint64(len(file))-offset {
		return errors.New("the bundle is outside of the file")
	}
	packed, err := zlib.NewReader(bytes.NewReader(file[offset : offset+length]))
	if err != nil {
		return err
	}
	bundle, err := io.ReadAll(packed) // the log's key stands for its length
	if err != nil {
		return err
	}
	b, checkpoint, err := verifyBundle(bundle, key)
	if err != nil {
		return fmt.Errorf("the bundle in it: %w", err)
	}
	if b.Kind != "report" || checkpoint != lines[1]+"\n"+lines[3]+"\n"+lines[4]+"\n" {
		return errors.New("the bundle in it is another's")
	}
	return nil
}

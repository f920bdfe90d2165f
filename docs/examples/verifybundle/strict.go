package main

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode/utf8"
)

// names are all that an object of a bundle can have. encoding/json takes other cases
// too, and the last of two.
var names = strings.Fields(`format kind subject origin key checkpoint older timestamp runs
	event order from to begin end report events unsealed hashes token indexes beside entries
	leaf said salt type data metadata`)

// inBase64 are the names of what stands in base64, alone or in a list.
var inBase64 = []string{"hashes", "token", "beside", "salt", "data", "metadata"}

// strict refuses what encoding/json is too kind to: a name in another case or twice, null,
// base64 in another form, text that is not UTF-8, and anything behind the end.
func strict(text []byte) error {
	if !utf8.Valid(text) {
		return errors.New("it is not UTF-8")
	}
	decoder := json.NewDecoder(bytes.NewReader(text))
	if err := value(decoder, ""); err != nil {
		return err
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return errors.New("something stands behind its end")
	}
	return nil
}

// value reads what stands under a name.
func value(decoder *json.Decoder, name string) error {
	token, err := decoder.Token()
	if err != nil {
		return err
	}
	switch token {
	case nil:
		return errors.New("null stands nowhere")
	case json.Delim('{'):
		err = members(decoder)
	case json.Delim('['):
		for err == nil && decoder.More() {
			err = value(decoder, name)
		}
	default:
		if text, ok := token.(string); ok && slices.Contains(inBase64, name) {
			if raw, err := base64.StdEncoding.Strict().DecodeString(text); err != nil || base64.StdEncoding.EncodeToString(raw) != text {
				return fmt.Errorf("%s is not base64 in the one form there is", name)
			}
		}
		return nil
	}
	if err == nil {
		_, err = decoder.Token() // its end
	}
	return err
}

func members(decoder *json.Decoder) error {
	seen := make(map[string]bool)
	for decoder.More() {
		token, err := decoder.Token()
		if err != nil {
			return err
		}
		name, ok := token.(string)
		if !ok || seen[name] || !slices.Contains(names, name) {
			return fmt.Errorf("the name %v stands twice, or can't stand here", token)
		}
		seen[name] = true
		if err := value(decoder, name); err != nil {
			return err
		}
	}
	if seen["leaf"] || !seen["salt"] {
		return nil
	}
	if !seen["type"] || !seen["data"] || !seen["metadata"] {
		return errors.New("what was said is not whole")
	}
	return nil
}

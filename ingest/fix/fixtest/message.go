// Package fixtest writes FIX messages for tests.
package fixtest

import (
	"fmt"
	"strings"
)

// Message is a message of FIX.4.4 with BodyLength and CheckSum. Fields are written
// with bars; the header's own, but for what fields say, are those of the nth
// message from BROKER to FIRM, at 14:30 and n milliseconds.
func Message(n int, fields string) []byte { return Of("FIX.4.4", n, fields) }

// Of is Message for another BeginString.
func Of(beginString string, n int, fields string) []byte {
	has := func(tag string) bool { return strings.HasPrefix(fields, tag) || strings.Contains(fields, "|"+tag) }
	var header strings.Builder
	kind, rest, _ := strings.Cut(fields, "|")
	for _, f := range []string{
		"49=BROKER", "56=FIRM", fmt.Sprint("34=", n), fmt.Sprintf("52=20260302-14:30:%02d.%03d", n/1000%60, n%1000),
	} {
		if !has(f[:3]) {
			header.WriteString(f + "|")
		}
	}
	body := strings.TrimSuffix(kind+"|"+header.String()+rest, "|") + "|"
	return Finish(beginString, strings.ReplaceAll(body, "|", "\x01"))
}

// Finish puts BeginString, BodyLength and CheckSum around a body, which ends with
// a separator.
func Finish(beginString, body string) []byte {
	raw := fmt.Appendf(nil, "8=%s\x019=%d\x01%s", beginString, len(body), body)
	sum := 0
	for _, c := range raw {
		sum += int(c)
	}
	return fmt.Appendf(raw, "10=%03d\x01", sum%256)
}

// Bars is a message as logs show it.
func Bars(raw []byte) []byte { return []byte(strings.ReplaceAll(string(raw), "\x01", "|")) }

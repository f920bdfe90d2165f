package main

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/tradetrail/tradetrail/tlog/stamp"
	"github.com/tradetrail/tradetrail/tlog/verify"
)

const usage = `usage: tradetrail-verify FILE --key VKEY_OR_FILE [flags]

Verifies evidence of Tradetrail, with the public key of the log that you have from
elsewhere than from the file: a proof bundle, a report as a sealed PDF, a certificate
of completeness, or a zip or tar archive of these, of which every file is judged.

  --key VKEY_OR_FILE    the verifier key, or a file that holds it; after a rotation
                        the log's own file of keys, of which the first must be known:
                        each key must have signed that the next one takes over
  --witness VKEY        the key of a witness that you trust; may be repeated
  --policy N            how many of them must have cosigned (default: all)
  --checkpoint FILE     an older checkpoint that you kept: the log must continue it
  --log FOLDER_OR_URL   where to ask for the proof of that, unless the bundle has it
  --tsa-roots FILE      certificates in PEM of the time-stamping authorities that you
                        trust: checks the timestamp, if the bundle has one
  --at TIME             the time now, RFC 3339 (default: this machine's clock)
  --tolerance DURATION  by how much clocks may differ (default 5m)
  --max-age DURATION    how old the newest cosignature may be
  --json                print the verdict as JSON

Exit code: 0 verified, 1 a file can't be read, 2 usage, 3 not verified.
`

// request is what was asked for on the command line.
type request struct {
	file  string
	log   string
	trust verify.Trust
	json  bool
}

// texts are the values of a flag that may be repeated.
type texts []string

func (t *texts) String() string         { return strings.Join(*t, " ") }
func (t *texts) Set(value string) error { *t = append(*t, value); return nil }

func parse(args []string, stderr io.Writer, now func() time.Time) (*request, error) {
	flags := flag.NewFlagSet("tradetrail-verify", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.Usage = func() { fmt.Fprint(stderr, usage) }
	var r request
	var witnesses texts
	key := flags.String("key", "", "")
	flags.Var(&witnesses, "witness", "")
	policy := flags.Int("policy", -1, "")
	older := flags.String("checkpoint", "", "")
	authorities := flags.String("tsa-roots", "", "")
	at := flags.String("at", "", "")
	flags.StringVar(&r.log, "log", "", "")
	flags.DurationVar(&r.trust.Tolerance, "tolerance", 5*time.Minute, "")
	flags.DurationVar(&r.trust.MaxAge, "max-age", 0, "")
	flags.BoolVar(&r.json, "json", false, "")
	files, err := interleaved(flags, args)
	if err != nil {
		return nil, err
	}
	if len(files) != 1 {
		return nil, fmt.Errorf("one file must be given, not %d", len(files))
	}
	r.file = files[0]
	if r.trust.Keys, err = keysOf(*key); err != nil {
		return nil, err
	}
	for _, text := range witnesses {
		witness, err := verify.ParseWitness(text)
		if err != nil {
			return nil, err
		}
		r.trust.Witnesses = append(r.trust.Witnesses, witness)
	}
	r.trust.Quorum = *policy
	if *policy < 0 {
		r.trust.Quorum = len(witnesses)
	}
	if r.trust.Quorum > len(witnesses) {
		return nil, fmt.Errorf("--policy asks for %d witnesses, and %d are named", r.trust.Quorum, len(witnesses))
	}
	if r.trust.At = now(); *at != "" {
		if r.trust.At, err = time.Parse(time.RFC3339, *at); err != nil {
			return nil, fmt.Errorf("--at: %w", err)
		}
	}
	if *authorities != "" {
		text, err := os.ReadFile(*authorities)
		if err != nil {
			return nil, fmt.Errorf("reading the roots of authorities: %w", err)
		}
		if r.trust.Authorities, err = stamp.ParseRoots(text); err != nil {
			return nil, fmt.Errorf("--tsa-roots: %w", err)
		}
	}
	if *older != "" {
		note, err := os.ReadFile(*older)
		if err != nil {
			return nil, fmt.Errorf("reading the older checkpoint: %w", err)
		}
		r.trust.Older = string(note)
	}
	return &r, nil
}

// interleaved takes flags before and behind the file.
func interleaved(flags *flag.FlagSet, args []string) (files []string, err error) {
	for {
		if err := flags.Parse(args); err != nil {
			return nil, err
		}
		if flags.NArg() == 0 {
			return files, nil
		}
		files = append(files, flags.Arg(0))
		args = flags.Args()[1:]
	}
}

// keysOf reads a verifier key, or the file that holds it.
func keysOf(text string) (verify.Keys, error) {
	if text == "" {
		return nil, errors.New("--key must be given: without a key from elsewhere nothing is proven")
	}
	if key, err := verify.ParseKey(text); err == nil {
		return verify.Keys{key}, nil
	}
	content, err := os.ReadFile(text)
	if err != nil {
		return nil, fmt.Errorf("--key is neither a verifier key nor a file: %w", err)
	}
	var keys verify.Keys
	var before verify.PublicKey
	for line := range bytes.Lines(content) {
		if line = bytes.TrimSpace(line); len(line) == 0 {
			continue
		}
		s, err := parseStored(line)
		if err == nil && len(keys) > 0 {
			err = s.TakesOver(before)
		}
		var key verify.Key
		if err == nil {
			key, err = verify.ParseKey(s.Verifier)
		}
		if err != nil {
			return nil, fmt.Errorf("reading key %d of %s: %w", len(keys)+1, text, err)
		}
		key.From = s.From
		keys, before = append(keys, key), s
	}
	if len(keys) == 0 {
		return nil, fmt.Errorf("%s holds no key", text)
	}
	return keys, nil
}

// parseStored reads a line of the file of keys, or a verifier key that stands alone.
func parseStored(line []byte) (s verify.PublicKey, err error) {
	if line[0] != '{' {
		return verify.PublicKey{Verifier: string(line)}, nil
	}
	err = json.Unmarshal(line, &s, json.RejectUnknownMembers(true))
	return s, err
}

package main

import (
	"bytes"
	"crypto/ed25519"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	fnote "github.com/transparency-dev/formats/note"
	"go.uber.org/goleak"
	"golang.org/x/mod/sumdb/note"

	"github.com/tradetrail/tradetrail/tlog/stamp/stamptest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// The golden bundles of tlog/verify, and the key of their log.
const (
	golden = "../../tlog/verify/testdata"
	key    = "log.example/trading+4bc01378+AYqI4910CfGV/VLbLTy6XXLKZwm/HZQSG/N0iAG0D29c"
)

func now() time.Time { return time.Date(2026, 3, 3, 0, 0, 0, 0, time.UTC) }

func verifies(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, problems bytes.Buffer
	code = run(t.Context(), args, &out, &problems, now)
	return code, out.String(), problems.String()
}

func TestVerify_ExitCodes(t *testing.T) {
	bundle := filepath.Join(golden, "event.json")
	keys := filepath.Join(t.TempDir(), "keys")
	require.NoError(t, os.WriteFile(keys, []byte(`{"vkey":"`+key+`","from":0}`+"\n"), 0o600))
	noZip, noPDF := filepath.Join(t.TempDir(), "a.zip"), filepath.Join(t.TempDir(), "a.pdf")
	require.NoError(t, os.WriteFile(noZip, []byte("PK"), 0o600))
	require.NoError(t, os.WriteFile(noPDF, nil, 0o600))
	other := signer(t, 2)
	otherKey, witness := publicOf(t, other), witnessKey(t)
	plain, handed, forged := filepath.Join(t.TempDir(), "plain"), filepath.Join(t.TempDir(), "handed"), filepath.Join(t.TempDir(), "forged")
	line := func(by note.Signer) string {
		text, err := note.Sign(&note.Note{Text: "tradetrail/key/v1\n" + otherKey + "\n"}, by)
		require.NoError(t, err)
		quoted, err := json.Marshal(string(text))
		require.NoError(t, err)
		return `{"vkey":"` + key + `","from":0}` + "\n" + `{"vkey":"` + otherKey + `","from":24,"hand_over":` + string(quoted) + "}\n"
	}
	require.NoError(t, os.WriteFile(plain, []byte(key+"\n"+otherKey+"\n"), 0o600))
	require.NoError(t, os.WriteFile(handed, []byte(line(signer(t, 1))), 0o600))
	require.NoError(t, os.WriteFile(forged, []byte(line(other)), 0o600))
	for name, c := range map[string]struct {
		args []string
		code int
		says string
	}{
		"verified":            {[]string{bundle, "--key", key}, 0, "\nVERIFIED\n"},
		"flags first":         {[]string{"--key", key, bundle}, 0, "\nVERIFIED\n"},
		"a file of keys":      {[]string{bundle, "--key", keys}, 0, "\nVERIFIED\n"},
		"from the future":     {[]string{bundle, "--key", key, "--at", "2026-03-01T00:00:00Z"}, 3, "\nNOT VERIFIED\n"},
		"no witness":          {[]string{bundle, "--key", key, "--witness", "w.example+e4a2c8d5+BAYqI"}, 2, "witness"},
		"a witness too few":   {[]string{bundle, "--key", key, "--witness", witness}, 3, "not_witnessed"},
		"a witness not asked": {[]string{bundle, "--key", key, "--witness", witness, "--policy", "0"}, 0, "\nVERIFIED\n"},
		"nobody of late":      {[]string{bundle, "--key", key, "--max-age", "1h"}, 3, "expired"},
		"handed over":         {[]string{bundle, "--key", handed}, 0, "\nVERIFIED\n"},
		"not handed over":     {[]string{bundle, "--key", forged}, 2, "has not signed"},
		"two plain keys":      {[]string{bundle, "--key", plain}, 2, "has not signed"},
		"which event it is":   {[]string{bundle, "--key", key}, 0, "revision"},
		"no such file":        {[]string{"nothing.json", "--key", key}, 1, "nothing.json"},
		"no key":              {[]string{bundle}, 2, "--key"},
		"no key of a log":     {[]string{bundle, "--key", "log.example/trading+31eb3b3d+Aeo0h0Av2PSjhLmuMNIoWTNPJIWbOVXsSqrjPxXOkTfv"}, 2, "--key"},
		"a wrong key":         {[]string{bundle, "--key", otherKey}, 3, "wrong_key"},
		"two files":           {[]string{bundle, bundle, "--key", key}, 2, "one file"},
		"an unknown flag":     {[]string{bundle, "--key", key, "--trust-me"}, 2, "usage"},
		"a policy of nobody":  {[]string{bundle, "--key", key, "--policy", "1"}, 2, "--policy"},
		"something else":      {[]string{"main.go", "--key", key}, 3, "NO       malformed"},
		"an unreadable older": {[]string{bundle, "--key", key, "--checkpoint", "nothing"}, 2, "older checkpoint"},
		"no roots":            {[]string{bundle, "--key", key, "--tsa-roots", "nothing"}, 2, "roots of authorities"},
		"roots that are none": {[]string{bundle, "--key", key, "--tsa-roots", "main.go"}, 2, "PEM"},
		"a report":            {[]string{filepath.Join(golden, "report.pdf"), "--key", key}, 0, "not a byte of this file"},
		"a certificate":       {[]string{filepath.Join(golden, "2026-03-02.txt"), "--key", key}, 0, "23 events of 2026-03-02"},
		"an early report":     {[]string{filepath.Join(golden, "report.pdf"), "--key", key, "--at", "2026-03-02T17:00:00Z"}, 3, "future"},
		"no zip":              {[]string{noZip, "--key", key}, 3, "the archive is damaged"},
		"no PDF":              {[]string{noPDF, "--key", key}, 3, "unsealed"},
		"a folder":            {[]string{golden, "--key", key}, 1, "directory"},
	} {
		t.Run(name, func(t *testing.T) {
			code, stdout, stderr := verifies(t, c.args...)
			assert.Equal(t, c.code, code, "%s%s", stdout, stderr)
			assert.Contains(t, stdout+stderr, c.says)
		})
	}
}

// publicOf is the verifier key of what signer makes.
func publicOf(t *testing.T, s note.Signer) string {
	t.Helper()
	private := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{2}, ed25519.SeedSize))
	public, ok := private.Public().(ed25519.PublicKey)
	require.True(t, ok)
	text, err := note.NewEd25519VerifierKey(s.Name(), public)
	require.NoError(t, err)
	return text
}

func witnessKey(t *testing.T) string {
	t.Helper()
	_, public, err := note.GenerateKey(nil, "w.example")
	require.NoError(t, err)
	text, err := fnote.VKeyToCosignatureV1(public)
	require.NoError(t, err)
	return text
}

func TestVerify_JSON(t *testing.T) {
	code, stdout, _ := verifies(t, filepath.Join(golden, "chain.json"), "--key", key, "--json")
	assert.Equal(t, 0, code)
	var verdict struct {
		Verified bool     `json:"verified"`
		Kind     string   `json:"kind"`
		Events   int      `json:"events"`
		Proven   []string `json:"proven"`
		Failures []any    `json:"failures"`
	}
	require.NoError(t, json.Unmarshal([]byte(stdout), &verdict))
	assert.True(t, verdict.Verified)
	assert.Equal(t, "chain", verdict.Kind)
	assert.Equal(t, 10, verdict.Events)
	assert.NotEmpty(t, verdict.Proven)
	assert.NotNil(t, verdict.Failures)
}

func TestVerify_HostileTextDoesNotReachTheTerminal(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(golden, "event.json"))
	require.NoError(t, err)
	file := filepath.Join(t.TempDir(), "bundle.json")
	require.NoError(t, os.WriteFile(file, bytes.Replace(text, []byte(`"kind":"event"`), []byte(`"kind":"\u001b[2J\u202eVERIFIED"`), 1), 0o600))
	code, stdout, _ := verifies(t, file, "--key", key)
	assert.Equal(t, 3, code)
	assert.NotContains(t, stdout, "\x1b")
	assert.NotContains(t, stdout, "\u202e")
}

// What docs/formats.md says is enough to write a verifier: the example is written
// from it, with the standard library alone.
func TestExample_AgreesWithUs(t *testing.T) {
	tool := filepath.Join(t.TempDir(), "verifybundle")
	out, err := exec.CommandContext(t.Context(), "go", "build", "-o", tool, "../../docs/examples/verifybundle").CombinedOutput()
	require.NoError(t, err, "%s", out)
	for _, kind := range []string{"event", "chain", "window", "report"} {
		text, err := os.ReadFile(filepath.Join(golden, kind+".json"))
		require.NoError(t, err)
		file := filepath.Join(t.TempDir(), "bundle.json")
		says := func(text []byte) string {
			require.NoError(t, os.WriteFile(file, text, 0o600))
			out, err := exec.CommandContext(t.Context(), tool, file, key).Output()
			if err != nil {
				require.ErrorContains(t, err, "exit status 3")
			}
			first, _, _ := strings.Cut(string(out), "\n")
			return strings.SplitN(first, ":", 2)[0]
		}
		assert.Equal(t, "VERIFIED", says(text), kind)
		for _, change := range [][2]string{
			{`"data":"eyJ`, `"data":"eyK`},
			{`\n23\n`, `\n24\n`},
			{`"salt":"`, `"salt":"A`},
			{`"beside":["`, `"beside":["A`},
			{"14:30:0", "14:31:0"},
			{map[bool]string{false: `"begin":`, true: `"indexes":[`}[kind == "report"], map[bool]string{false: `"begin":1`, true: `"indexes":[1`}[kind == "report"]},
			{"order.filled", "order.rejected"},
			{`"data":"`, `"data":"e30=","data":"`},
			{`"salt":`, `"Salt":`},
			{`"data":"eyJ`, `"data":"eyJ\n`},
			{`"subject":{`, `"subject":{"from":null,`},
		} {
			changed := bytes.Replace(text, []byte(change[0]), []byte(change[1]), 1)
			require.NotEqual(t, text, changed, "%s: %s", kind, change[0])
			assert.Equal(t, "NOT VERIFIED", says(changed), "%s: %s", kind, change[0])
			code, _, _ := verifies(t, file, "--key", key)
			assert.Equal(t, 3, code, "%s: %s", kind, change[0])
		}
		for _, behind := range []string{"}", "]", "x", "{}"} {
			assert.Equal(t, "NOT VERIFIED", says(append(bytes.Clone(text), behind...)), "%s behind the end", behind)
			code, _, _ := verifies(t, file, "--key", key)
			assert.Equal(t, 3, code)
		}
	}
}

// A bundle without a timestamp, and an examiner who asks for one.
func TestVerify_SaysThatThereIsNoTimestamp(t *testing.T) {
	roots := filepath.Join(t.TempDir(), "roots.pem")
	require.NoError(t, os.WriteFile(roots, stamptest.Start(t, nil).Roots, 0o600))
	code, stdout, _ := verifies(t, filepath.Join(golden, "event.json"), "--key", key, "--tsa-roots", roots)
	assert.Equal(t, 0, code)
	assert.Contains(t, stdout, "not said the bundle has no timestamp")
}

// The example finds every changed byte of a sealed report, as we do.
func TestExample_VerifiesReports(t *testing.T) {
	tool := filepath.Join(t.TempDir(), "verifybundle")
	out, err := exec.CommandContext(t.Context(), "go", "build", "-o", tool, "../../docs/examples/verifybundle").CombinedOutput()
	require.NoError(t, err, "%s", out)
	text, err := os.ReadFile(filepath.Join(golden, "report.pdf"))
	require.NoError(t, err)
	file := filepath.Join(t.TempDir(), "report.pdf")
	says := func(text []byte) (example, ours int) {
		require.NoError(t, os.WriteFile(file, text, 0o600))
		cmd := exec.CommandContext(t.Context(), tool, file, key)
		if err := cmd.Run(); err != nil {
			require.ErrorContains(t, err, "exit status 3")
		}
		ours, _, _ = verifies(t, file, "--key", key)
		return cmd.ProcessState.ExitCode(), ours
	}
	example, ours := says(text)
	assert.Equal(t, [2]int{0, 0}, [2]int{example, ours})
	for i := 7; i < len(text); i += 1 + len(text)/60 {
		changed := bytes.Clone(text)
		changed[i] ^= 2
		example, ours := says(changed)
		assert.Equal(t, [2]int{3, 3}, [2]int{example, ours}, "byte %d of %d", i, len(text))
	}
	sealed := bytes.LastIndex(text, []byte("%tradetrail/seal/v1 "))
	for i := sealed; i < len(text); i += 5 {
		changed := bytes.Clone(text)
		changed[i] ^= 1
		example, ours := says(changed)
		assert.Equal(t, [2]int{3, 3}, [2]int{example, ours}, "byte %d of %d", i, len(text))
	}
	example, ours = says(append(text, '\n'))
	assert.Equal(t, [2]int{3, 3}, [2]int{example, ours})
}

package main

import (
	"archive/zip"
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tradetrail/tradetrail/tlog"
)

// A report that a server has made stands up to the examiner's tool on a machine that has
// nothing but the key; one that was changed does not, nor does an archive that has it.
func TestReport_AgainstTheKeyAlone(t *testing.T) {
	tool := filepath.Join(t.TempDir(), "tradetrail-verify")
	out, err := exec.CommandContext(t.Context(), "go", "build", "-o", tool, "../tradetrail-verify").CombinedOutput()
	require.NoError(t, err, "%s", out)
	dir := filepath.Join(t.TempDir(), "data")
	server := startServer(t, dir, "", "--tlog=true")
	code, _, stderr := tradetrail(someEvents(0, 20), "import", "--server", server.URL, "--format", "ndjson", "-")
	require.Zero(t, code, stderr)
	server.sealedUpTo(dir, 60)
	server.caughtUp()
	keys, err := tlog.ReadKeys(filepath.Join(dir, "tlog"))
	require.NoError(t, err)
	examine := func(file string) (code int, said string) {
		cmd := exec.CommandContext(t.Context(), tool, file, "--key", keys[0].Verifier)
		cmd.Dir, cmd.Env = t.TempDir(), []string{} // nothing of this machine
		text, err := cmd.CombinedOutput()
		if err != nil {
			require.ErrorAs(t, err, new(*exec.ExitError))
		}
		return cmd.ProcessState.ExitCode(), string(text)
	}

	place := t.TempDir()
	report, bundle, archive := filepath.Join(place, "ord_7.pdf"), filepath.Join(place, "ord_7.json"), filepath.Join(place, "all.zip")
	code, _, stderr = tradetrail("", "report", "--server", server.URL, "--order", "ord_7", "--output", report)
	require.Zero(t, code, stderr)
	code, said := examine(report)
	require.Zero(t, code, said)
	assert.Contains(t, said, "the report tradetrail-order-ord_7.pdf")
	assert.Contains(t, said, "3 events that the report")
	assert.Contains(t, said, "\nVERIFIED\n")

	id := regexp.MustCompile(`report ([a-z0-9]+)\n`).FindStringSubmatch(stderr)
	require.NotNil(t, id, stderr)
	code, _, stderr = tradetrail("", "prove", "--server", server.URL, "--report", id[1], "--output", bundle)
	require.Zero(t, code, stderr)
	code, said = examine(bundle)
	require.Zero(t, code, said)

	file, err := os.ReadFile(report)
	require.NoError(t, err)
	proof, err := os.ReadFile(bundle)
	require.NoError(t, err)
	packed := func(report []byte) {
		var text bytes.Buffer
		w := zip.NewWriter(&text)
		for name, content := range map[string][]byte{"ord_7.pdf": report, "ord_7.json": proof, "readme.txt": []byte("March")} {
			f, err := w.Create(name)
			require.NoError(t, err)
			_, err = f.Write(content)
			require.NoError(t, err)
		}
		require.NoError(t, w.Close())
		require.NoError(t, os.WriteFile(archive, text.Bytes(), 0o600))
	}
	packed(file)
	code, said = examine(archive)
	require.Zero(t, code, said)
	assert.Contains(t, said, "readme.txt")

	changed := bytes.Clone(file)
	changed[len(changed)/3] ^= 2
	packed(changed)
	code, said = examine(archive)
	assert.Equal(t, 3, code, said)
	assert.Contains(t, said, "\nNOT VERIFIED\n")
	require.NoError(t, os.WriteFile(report, append(file, "%%EOF\n"...), 0o600))
	code, said = examine(report)
	assert.Equal(t, 3, code, said)
	assert.Contains(t, said, "unsealed")

	code, table, stderr := tradetrail("", "report", "--server", server.URL, "--order", "ord_7", "--format", "csv")
	require.Zero(t, code, stderr)
	assert.Contains(t, table, "leaf_index,leaf_hash")
	assert.NotContains(t, table, "not sealed")
	assert.NotContains(t, table, "no log")
	code, _, stderr = tradetrail("", "prove", "--server", server.URL, "--report", "nobody's", "--output", bundle)
	assert.Equal(t, 1, code)
	assert.Contains(t, stderr, "no such report")

	require.Zero(t, server.stop())
	code, _, stderr = tradetrail("", "report", "--data-dir", dir, "--order", "ord_7", "--output", report)
	require.Zero(t, code, stderr)
	code, said = examine(report)
	assert.Zero(t, code, said)
}

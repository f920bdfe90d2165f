package app_test

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/transparency-dev/merkle/proof"
	"github.com/transparency-dev/merkle/rfc6962"

	"github.com/tradetrail/tradetrail/internal/config"
	"github.com/tradetrail/tradetrail/tlog"
)

// sealed waits until the log has so many leaves under a checkpoint.
func (r *running) sealed(n float64) map[string]any {
	r.Helper()
	var data map[string]any
	require.Eventually(r, func() bool {
		var code string
		data, code, _ = r.graphql(`{ checkpoint { origin size rootHash note time position seal witnesses } }`, nil)
		return code == "" && at(data, "checkpoint", "size") == n
	}, time.Minute, 10*time.Millisecond)
	return data
}

func TestSeals_AreShownAndProven(t *testing.T) {
	dataDir := t.TempDir()
	r := start(t, func(c *config.Config) { c.DataDir, c.LogOrigin = dataDir, "log.example/app" })
	r.record(300)
	checkpoint := r.sealed(300)
	assert.Equal(t, "log.example/app", at(checkpoint, "checkpoint", "origin"))
	assert.Equal(t, "SEALED", at(checkpoint, "checkpoint", "seal"))
	keys, err := tlog.ReadKeys(filepath.Join(dataDir, "tlog"))
	require.NoError(t, err)
	_, err = keys.Check(textAt(checkpoint, "checkpoint", "note"))
	require.NoError(t, err)

	data, code, _ := r.graphql(`{ chain(orderId: "o140") { events { event { eventId seal leafIndex position } } } }`, nil)
	require.Empty(t, code)
	event := at(data, "chain", "events", 1, "event")
	assert.Equal(t, "SEALED", at(event, "seal"))
	assert.InDelta(t, 281, at(event, "leafIndex"), 0)
	var entry map[string]any
	require.NoError(t, json.Unmarshal(r.get("/audit/chain/o140").body, &entry))
	assert.Equal(t, "SEALED", at(entry, "events", 1, "seal"))

	for _, variables := range []map[string]any{{"id": "e281"}, {"id": "e281", "at": at(event, "position")}} {
		data, code, _ = r.graphql(`query($id: ID!, $at: String) { proof(eventId: $id, position: $at) { leafIndex leaf treeSize rootHash hashes checkpoint { rootHash } } }`, variables)
		require.Empty(t, code)
		var hashes [][]byte
		for _, hash := range listAt(data, "proof", "hashes") {
			hashes = append(hashes, unbase64(t, textAt(hash)))
		}
		require.NoError(t, proof.VerifyInclusion(rfc6962.DefaultHasher, 281, 300, rfc6962.DefaultHasher.HashLeaf([]byte(textAt(data, "proof", "leaf"))),
			hashes, unbase64(t, textAt(data, "proof", "rootHash"))))
		assert.Equal(t, at(checkpoint, "checkpoint", "rootHash"), at(data, "proof", "rootHash"))
	}
	data, code, _ = r.graphql(`query($at: String) { proof(eventId: "e7", position: $at) { leafIndex } }`, map[string]any{"at": at(event, "position")})
	require.Empty(t, code)
	assert.Nil(t, at(data, "proof"), "another event stands there")
	data, code, _ = r.graphql(`{ proof(eventId: "nobody\" || true || \"") { leafIndex } }`, nil)
	require.Empty(t, code)
	assert.Nil(t, at(data, "proof"))
}

func TestLogFiles_AreServedAsTiles(t *testing.T) {
	r := start(t)
	r.record(300)
	note := textAt(r.sealed(300), "checkpoint", "note")
	for path, want := range map[string]struct {
		status       int
		media, cache string
	}{
		"/log/checkpoint":               {200, "text/plain; charset=utf-8", "no-cache"},
		"/log/keys":                     {200, "text/plain; charset=utf-8", "no-cache"},
		"/log/tile/0/000":               {200, "application/octet-stream", "private, max-age=31536000, immutable"},
		"/log/tile/entries/001.p/44":    {200, "application/octet-stream", "private, max-age=31536000, immutable"},
		"/log/tile/0/000.p/256":         {404, "", ""},
		"/log/tile/0/00":                {404, "", ""},
		"/log/tile/64/000":              {404, "", ""},
		"/log/.state/treeState":         {404, "", ""},
		"/log/history/2026-03-02.jsonl": {404, "", ""},
		"/log/certificates/today.txt":   {404, "", ""},
		"/log/%2e%2e/keys/log.key":      {404, "", ""},
		"/log/":                         {404, "", ""},
	} {
		a := r.get(path)
		assert.Equal(t, want.status, a.status, path)
		if want.status == http.StatusOK {
			assert.Equal(t, want.media, a.header.Get("Content-Type"), path)
			assert.Equal(t, want.cache, a.header.Get("Cache-Control"), path)
			assert.Equal(t, "nosniff", a.header.Get("X-Content-Type-Options"), path)
		}
	}
	assert.Equal(t, note, string(r.get("/log/checkpoint").body))
	assert.Equal(t, http.StatusMethodNotAllowed, r.do(http.MethodPost, "/log/checkpoint", "", "").status)
}

// What the auditor found, and the certificate of a day that is over: its file is served.
func TestIntegrity_IsTold(t *testing.T) {
	dataDir := t.TempDir()
	r := start(t, func(c *config.Config) { c.DataDir = dataDir })
	r.record(3)
	r.sealed(3)
	folder := filepath.Join(dataDir, "tlog", "certificates")
	require.NoError(t, os.MkdirAll(folder, 0o750))
	day := time.Now().UTC().AddDate(0, 0, 2).Format(time.DateOnly) // the next one is not over for days
	require.NoError(t, os.WriteFile(filepath.Join(folder, day+".txt"), []byte("a certificate"), 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(folder, day+".txt.new"), []byte("half of one"), 0o600))
	var told map[string]any
	require.Eventually(t, func() bool {
		told = nil
		return json.Unmarshal(r.get("/audit/integrity").body, &told) == nil && at(told, "verdict") == "intact"
	}, time.Minute, 10*time.Millisecond)
	assert.Len(t, listAt(told, "certificates"), 1)
	assert.Equal(t, "a certificate", at(told, "certificates", 0, "note"))
	assert.Equal(t, "a certificate", string(r.get("/log/certificates/"+day+".txt").body))
	assert.Equal(t, http.StatusNotFound, r.get("/log/certificates/2026-03-04.txt").status)
	for _, query := range []string{"before=x", "limit=x", "limit=0", "limit=101", "befor=2026-03-02"} {
		assert.Equal(t, http.StatusUnprocessableEntity, r.get("/audit/integrity?"+query).status, query)
	}
}

// Whoever asks for seals gets each event once, and then, with the cursor where it
// was, that it is sealed.
func TestSubscriptions_TellOfSeals(t *testing.T) {
	r := start(t)
	chain := r.updates(`subscription { chainUpdated(orderId: "o0", after: "C:0/P:0", seals: true) { kind cursor event { eventId seal } } }`)
	checkpoints := r.updates(`subscription { checkpointUpdated { size seal } }`)
	r.record(2)
	seen := map[string]int{}
	sealed := ""
	for sealed != "e1" {
		u := at(<-chain, "data", "chainUpdated")
		if at(u, "kind") == "EVENT" {
			seen[textAt(u, "event", "eventId")]++
			if at(u, "event", "seal") != "SEALED" {
				continue
			}
		}
		assert.Equal(t, "SEALED", at(u, "event", "seal"))
		sealed = textAt(u, "event", "eventId")
	}
	assert.Equal(t, map[string]int{"e0": 1, "e1": 1}, seen)
	last := -1.0
	for last < 2 {
		size, ok := at(<-checkpoints, "data", "checkpointUpdated", "size").(float64)
		require.True(t, ok)
		require.Greater(t, size, last)
		last = size
	}
}

func TestLog_OffIsNotAvailable(t *testing.T) {
	r := start(t, func(c *config.Config) { c.TLog = "false" })
	r.record(2)
	for _, query := range []string{`{ checkpoint { size } }`, `{ proof(eventId: "e1") { leafIndex } }`} {
		_, code, _ := r.graphql(query, nil)
		assert.Equal(t, "not_available", code)
	}
	data, code, _ := r.graphql(`{ chain(orderId: "o0") { events { event { seal leafIndex } } } }`, nil)
	require.Empty(t, code)
	assert.Equal(t, map[string]any{"seal": "RECORDED", "leafIndex": nil}, at(data, "chain", "events", 0, "event"))
	assert.Equal(t, http.StatusNotFound, r.get("/log/checkpoint").status)
}

func unbase64(t *testing.T, text string) []byte {
	t.Helper()
	raw, err := base64.StdEncoding.DecodeString(text)
	require.NoError(t, err)
	return raw
}

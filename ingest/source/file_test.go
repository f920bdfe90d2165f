package source_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tradetrail/tradetrail/ingest/source"
)

type config struct {
	URL      string        `yaml:"url"`
	Password string        `yaml:"password"`
	Topics   []string      `yaml:"topics"`
	Wait     time.Duration `yaml:"wait"`
	Nested   *struct {
		CA string `yaml:"ca"`
	} `yaml:"nested"`
}

func lookup(name string) (string, bool) {
	value, ok := map[string]string{"SECRET": "a: [b", "DIGITS": "0123"}[name]
	return value, ok
}

func parse(t *testing.T, text string) []source.Entry {
	t.Helper()
	entries, err := source.Parse(strings.NewReader(text), lookup)
	require.NoError(t, err)
	return entries
}

func TestParse_Sources(t *testing.T) {
	entries := parse(t, `
sources:
  - {name: fills, kind: some, url: "amqp://u:${SECRET}@h", topics: [a, b], wait: 3s, nested: {ca: "$${x}"}}
  - name: more
    kind: some
    password: ${DIGITS}
`)
	require.Len(t, entries, 2)
	assert.Equal(t, "fills", entries[0].Name)
	assert.Equal(t, "some", entries[0].Kind)
	var c config
	require.NoError(t, entries[0].Decode(&c))
	assert.Equal(t, "amqp://u:a: [b@h", c.URL)
	assert.Equal(t, []string{"a", "b"}, c.Topics)
	assert.Equal(t, 3*time.Second, c.Wait)
	assert.Equal(t, "${x}", c.Nested.CA)
	c = config{}
	require.NoError(t, entries[1].Decode(&c))
	assert.Equal(t, "0123", c.Password, "a password of digits is no number")
}

func TestParse_NothingIsNoSource(t *testing.T) {
	assert.Empty(t, parse(t, ""))
	assert.Empty(t, parse(t, "sources: []"))
}

func TestParse_SaysWhatIsWrongAndWhere(t *testing.T) {
	for name, c := range map[string]struct{ text, want string }{
		"second document": {"sources: []\n---\nsources: []", "second document"},
		"unknown top":     {"sourcs: []", "line 1"},
		"no mapping":      {"sources:\n  - fills", "line 2"},
		"no name":         {"sources:\n  - {kind: some}", "line 2"},
		"name of blanks":  {"sources:\n  - {name: a b, kind: some}", "line 2"},
		"no kind":         {"sources:\n  - {name: a}", "line 2"},
		"twice":           {"sources:\n  - {name: a, kind: some}\n  - {name: a, kind: some}", "line 3"},
		"no variable":     {"sources:\n  - name: a\n    kind: some\n    url: ${NONE}", "line 4"},
		"half a variable": {"sources:\n  - name: a\n    kind: some\n    url: ${SECRET", "line 4"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := source.Parse(strings.NewReader(c.text), lookup)
			require.Error(t, err)
			assert.Contains(t, err.Error(), c.want)
		})
	}
}

func TestDecode_RefusesWhatTheKindDoesNotKnow(t *testing.T) {
	for name, c := range map[string]struct{ text, want string }{
		"key":        {"sources:\n  - name: a\n    kind: some\n    urll: x", "line 4: \"urll\""},
		"nested key": {"sources:\n  - name: a\n    kind: some\n    nested:\n      cb: x", "line 5: \"cb\""},
		"type":       {"sources:\n  - name: a\n    kind: some\n    wait: secret", "line 2"},
	} {
		t.Run(name, func(t *testing.T) {
			entries := parse(t, c.text)
			err := entries[0].Decode(new(config))
			require.Error(t, err)
			assert.Contains(t, err.Error(), c.want)
			assert.NotContains(t, err.Error(), "secret", "values may be secrets")
		})
	}
}

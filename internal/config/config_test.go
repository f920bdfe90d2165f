package config_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tradetrail/tradetrail/domain"
	"github.com/tradetrail/tradetrail/internal/config"
)

func lookup(env map[string]string) func(string) (string, bool) {
	return func(name string) (string, bool) {
		value, ok := env[name]
		return value, ok
	}
}

func TestDefault_Works(t *testing.T) {
	t.Parallel()
	require.NoError(t, config.Default().Validate())
	assert.Equal(t, config.Default(), config.FromEnvironment(lookup(nil)))
}

func TestFromEnvironment(t *testing.T) {
	t.Parallel()
	c := config.FromEnvironment(lookup(map[string]string{
		"TRADETRAIL_LISTEN": "0.0.0.0:1", "TRADETRAIL_DATA_DIR": "/d", "TRADETRAIL_EVENTSTORE": "esdb://h", "TRADETRAIL_REDIS": "redis://h",
		"TRADETRAIL_EVENTSTORE_LISTEN": "127.0.0.1:2113",
		"TRADETRAIL_LOG_LEVEL":         "debug", "TRADETRAIL_INSECURE_LISTEN": "true", "TRADETRAIL_DEMO": "1", "TRADETRAIL_OTHER": "x",
	}))
	assert.Equal(t, config.Config{
		Listen: "0.0.0.0:1", DataDir: "/d", EventStore: "esdb://h", EventStoreListen: "127.0.0.1:2113", Redis: "redis://h", LogLevel: "debug", InsecureListen: true, Demo: true,
	}, c)
	require.ErrorContains(t, c.Validate(), "is for the embedded event store")

	for _, name := range []string{"TRADETRAIL_DEMO", "TRADETRAIL_INSECURE_LISTEN"} {
		c = config.FromEnvironment(lookup(map[string]string{name: "yes please"}))
		require.ErrorContains(t, c.Validate(), name, "a typing error is not a no")
		assert.False(t, c.Demo || c.InsecureListen)
	}
}

func TestValidate(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name   string
		change func(*config.Config)
		fields []string // at fault
	}{
		{"default", func(*config.Config) {}, nil},
		{"any port", func(c *config.Config) { c.Listen = "127.0.0.1:0" }, nil},
		{"localhost", func(c *config.Config) { c.Listen = "localhost:8080" }, nil},
		{"IPv6 loopback", func(c *config.Config) { c.Listen = "[::1]:8080" }, nil},
		{"another loopback address", func(c *config.Config) { c.Listen = "127.8.9.1:8080" }, nil},
		{"all addresses", func(c *config.Config) { c.Listen = ":8080" }, []string{"listen"}},
		{"all IPv6 addresses", func(c *config.Config) { c.Listen = "[::]:8080" }, []string{"listen"}},
		{"a name", func(c *config.Config) { c.Listen = "db.example:8080" }, []string{"listen"}},
		{"a name that looks like loopback", func(c *config.Config) { c.Listen = "127.0.0.1.example:8080" }, []string{"listen"}},
		{"all addresses, and said so", func(c *config.Config) { c.Listen, c.InsecureListen = ":8080", true }, nil},
		{"no port", func(c *config.Config) { c.Listen = "127.0.0.1" }, []string{"listen"}},
		{"nothing", func(c *config.Config) { c.Listen = "" }, []string{"listen"}},
		{"no port, and said so", func(c *config.Config) { c.Listen, c.InsecureListen = "127.0.0.1", true }, []string{"listen"}},
		{"no directory", func(c *config.Config) { c.DataDir = "" }, []string{"data-dir"}},
		{"no directory, but a server", func(c *config.Config) { c.DataDir, c.EventStore = "", "esdb://h" }, nil},
		{"clients of the event store", func(c *config.Config) { c.EventStoreListen = "127.0.0.1:2113" }, nil},
		{"clients of the event store by IPv6", func(c *config.Config) { c.EventStoreListen = "[::1]:0" }, nil},
		{"clients of the event store from everywhere", func(c *config.Config) { c.EventStoreListen, c.InsecureListen = ":2113", true }, []string{"eventstore-listen"}},
		{"clients of the event store, no port", func(c *config.Config) { c.EventStoreListen = "localhost" }, []string{"eventstore-listen"}},
		{"clients of another event store", func(c *config.Config) { c.EventStoreListen, c.EventStore = "127.0.0.1:2113", "esdb://h" }, []string{"eventstore-listen"}},
		{"everything", func(c *config.Config) { c.DataDir, c.Listen = "", "x" }, []string{"listen", "data-dir"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			c := config.Default()
			tc.change(&c)
			err := c.Validate()
			var fields []string
			for _, e := range unjoin(err) {
				var d *domain.Error
				require.ErrorAs(t, e, &d)
				assert.Equal(t, domain.ClassRejected, d.Class)
				fields = append(fields, d.Field)
			}
			assert.Equal(t, tc.fields, fields)
		})
	}
}

func unjoin(err error) []error {
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		return joined.Unwrap()
	}
	return nil
}

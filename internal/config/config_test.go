package config_test

import (
	"testing"
	"time"

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
		"TRADETRAIL_REPORT_DIR":        "/r", "TRADETRAIL_REPORT_DAILY": "1 2 * * *", "TRADETRAIL_REPORT_MONTHLY": "", "TRADETRAIL_REPORT_ZONE": "Europe/Paris", "TRADETRAIL_REPORT_FORMAT": "csv",
		"TRADETRAIL_TSA_URL": "https://tsa.example", "TRADETRAIL_TSA_ROOTS": "/roots.pem", "TRADETRAIL_TSA_EVERY": "15m", "TRADETRAIL_REPORT_BUCKET": "s3://b",
		"TRADETRAIL_LOG_LEVEL": "debug", "TRADETRAIL_INSECURE_LISTEN": "true", "TRADETRAIL_DEMO": "1", "TRADETRAIL_DETECT": "false", "TRADETRAIL_RULES": "/r", "TRADETRAIL_OTHER": "x", "TRADETRAIL_KEEP": "90d",
	}))
	assert.Equal(t, config.Config{
		Listen: "0.0.0.0:1", DataDir: "/d", EventStore: "esdb://h", EventStoreListen: "127.0.0.1:2113", Redis: "redis://h", LogLevel: "debug", TLog: config.TLogAuto, InsecureListen: true, Demo: true, Rules: "/r", Keep: 90 * 24 * time.Hour,
		ReportDir: "/r", ReportDaily: "1 2 * * *", ReportZone: "Europe/Paris", ReportFormat: "csv",
		TSAURL: "https://tsa.example", TSARoots: "/roots.pem", TSAEvery: 15 * time.Minute, ReportBucket: "s3://b",
	}, c)
	require.ErrorContains(t, c.Validate(), "is for the embedded event store")

	c = config.FromEnvironment(lookup(map[string]string{"TRADETRAIL_TSA_EVERY": "often"}))
	require.ErrorContains(t, c.Validate(), "TRADETRAIL_TSA_EVERY")
	for _, name := range []string{"TRADETRAIL_DEMO", "TRADETRAIL_INSECURE_LISTEN", "TRADETRAIL_DETECT"} {
		c = config.FromEnvironment(lookup(map[string]string{name: "yes please"}))
		require.ErrorContains(t, c.Validate(), name, "a typing error is not a no")
		assert.False(t, c.Demo || c.InsecureListen)
	}
}

func TestParseKeep(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]time.Duration{
		"": 0, "0": 0, "1h": time.Hour, "60m": time.Hour, "12h": 12 * time.Hour, "36h30m": 36*time.Hour + 30*time.Minute,
		"1d": 24 * time.Hour, "90d": 2160 * time.Hour, "2w": 336 * time.Hour, "1w2d3h4m": 219*time.Hour + 4*time.Minute,
		"0d1h": time.Hour, "1.5h": 90 * time.Minute, "32850d": 32850 * 24 * time.Hour,
	} {
		got, err := config.ParseKeep(text)
		require.NoError(t, err, text)
		assert.Equal(t, want, got, text)
		again, err := config.ParseKeep(config.FormatKeep(got))
		require.NoError(t, err, text)
		assert.Equal(t, got, again, text)
	}
	for _, text := range []string{
		"d", "w", "1", "90 d", " 90d", "-1d", "+1d", "1d-1h", "1d+1h", "-1h", "+1h", "1d2w", "1d1d", "1.5d", "1y", "for ever", "1h1d", "x",
		"32851d", "4294967295w", "18446744073709551616d", "99999999999999h", "٣d",
	} {
		_, err := config.ParseKeep(text)
		require.ErrorContains(t, err, "is not a length of time such as 90d, 2w, 12h or 36h30m, or 0 for ever", text)
		assert.Equal(t, domain.ClassRejected, domain.ClassOf(err))
	}
	for _, text := range []string{"59m", "1ns", "0h", "0d", "0w0d"} {
		_, err := config.ParseKeep(text)
		require.ErrorContains(t, err, "is shorter than 1h", text)
	}
	c := config.FromEnvironment(lookup(map[string]string{"TRADETRAIL_KEEP": "a while"}))
	require.ErrorContains(t, c.Validate(), "TRADETRAIL_KEEP")
	c = config.FromEnvironment(lookup(map[string]string{"TRADETRAIL_KEEP": ""}))
	require.NoError(t, c.Validate())
	assert.Zero(t, c.Keep)
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
		{"reports to a folder and to a bucket", func(c *config.Config) { c.ReportDir, c.ReportBucket = "reports", "s3://reports" }, []string{"report-bucket"}},
		{"an authority", func(c *config.Config) { c.TSAURL, c.TSARoots = "https://tsa.example", "roots.pem" }, nil},
		{"an authority without roots", func(c *config.Config) { c.TSAURL = "https://tsa.example" }, []string{"tsa-roots"}},
		{"an authority asked all the time", func(c *config.Config) {
			c.TSAURL, c.TSARoots, c.TSAEvery = "https://tsa.example", "roots.pem", time.Second
		}, []string{"tsa-every"}},
		{"no directory, but a server", func(c *config.Config) { c.DataDir, c.EventStore = "", "esdb://h" }, nil},
		{"clients of the event store", func(c *config.Config) { c.EventStoreListen = "127.0.0.1:2113" }, nil},
		{"clients of the event store by IPv6", func(c *config.Config) { c.EventStoreListen = "[::1]:0" }, nil},
		{"clients of the event store from everywhere", func(c *config.Config) { c.EventStoreListen, c.InsecureListen = ":2113", true }, []string{"eventstore-listen"}},
		{"clients of the event store, no port", func(c *config.Config) { c.EventStoreListen = "localhost" }, []string{"eventstore-listen"}},
		{"clients of another event store", func(c *config.Config) { c.EventStoreListen, c.EventStore = "127.0.0.1:2113", "esdb://h" }, []string{"eventstore-listen"}},
		{"bodies for a moment", func(c *config.Config) { c.Keep = time.Minute }, []string{"keep"}},
		{"bodies for less than nothing", func(c *config.Config) { c.Keep = -time.Hour }, []string{"keep"}},
		{"bodies for an hour", func(c *config.Config) { c.Keep = time.Hour }, nil},
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

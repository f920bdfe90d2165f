package fix_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tradetrail/tradetrail/domain"
	"github.com/tradetrail/tradetrail/ingest/fix"
	"github.com/tradetrail/tradetrail/ingest/fix/fixtest"
)

// fill is the report of an execution, as venues send it.
const fill = "35=8|37=V-1|11=C-1|17=E-1|150=F|39=1|1=ACC-1|55=MSFT|54=1|38=100|44=412.50|32=40|31=412.40|14=40|151=60|6=412.40|30=XNAS|60=20260302-14:30:00.123456789"

func sealed(body string) []byte {
	return fixtest.Finish("FIX.4.4", strings.ReplaceAll(body, "|", "\x01"))
}

func TestParse_TakesAMessageApart(t *testing.T) {
	raw := fixtest.Message(7, fill)
	m, err := fix.Parse(raw)
	require.Nil(t, err)
	assert.Equal(t, raw, m.Raw)
	assert.Equal(t, 8, m.Fields[0].Tag)
	assert.Equal(t, "FIX.4.4", string(m.Fields[0].Value))
	assert.Equal(t, 10, m.Fields[len(m.Fields)-1].Tag)
	assert.Len(t, m.Fields, bytes.Count(raw, []byte{1}))

	bars, err := fix.Parse(fixtest.Bars(raw))
	require.Nil(t, err, "a checksum in a log counts the separators of the wire")
	assert.Equal(t, raw, bars.Raw)
	short, err := fix.Parse(raw[:len(raw)-1])
	require.Nil(t, err, "the last separator may be missing")
	assert.Equal(t, raw, short.Raw)
}

func TestParse_DataMayHoldAnything(t *testing.T) {
	text := "a\x01b=10=000\x01|\xff\x00"
	raw := fixtest.Finish("FIX.4.4", fmt.Sprintf("35=B\x0134=1\x01354=%d\x01355=%s\x0158=x|y\x01", len(text), text))
	m, err := fix.Parse(raw)
	require.Nil(t, err)
	assert.Equal(t, text, string(m.Fields[5].Value))
	assert.Equal(t, "x|y", string(m.Fields[6].Value), "a bar is no separator here")
}

// What is broken names the tag and its place.
func TestParse_Broken(t *testing.T) {
	good := string(fixtest.Message(7, fill))
	for name, tt := range map[string]struct {
		raw   string
		field string
		says  string
	}{
		"nothing":                 {"", "tag 8", "does not begin"},
		"no FIX":                  {"8=FAX.4.4\x019=5\x01", "tag 8", "does not begin"},
		"no separator":            {"8=FIX.4.4 9=5 35=0 10=000 and more of it all", "tag 8", "does not begin"},
		"wrong checksum":          {good[:len(good)-4] + "999\x01", "tag 10", "the bytes before it sum up to"},
		"checksum of two digits":  {good[:len(good)-4] + "99\x01", "tag 10", `is "99"`},
		"no checksum":             {good[:len(good)-7], "tag 10", "missing"},
		"more behind it":          {good + "58=x\x01", "tag 10", "is not the last field"},
		"two messages":            {good + good, "tag 10", "is not the last field"},
		"wrong length":            {strings.Replace(good, "\x019=", "\x019=1", 1), "tag 9", "the body length is 1"},
		"negative length":         {strings.Replace(good, "\x019=", "\x019=-", 1), "tag 9", "no whole number"},
		"huge length":             {strings.Replace(good, "\x019=", "\x019=9223372036854775807", 1), "tag 9", "is more than"},
		"empty length":            {"8=FIX.4.4\x019=\x0135=0\x0110=000\x01", "tag 9", "must be field 2"},
		"no length":               {"8=FIX.4.4\x0135=0\x0110=000\x01", "tag 9", "must be field 2"},
		"no type":                 {string(sealed("34=1|")), "tag 35", "must be field 3"},
		"tag 0":                   {string(sealed("35=0|0=x|")), "", "byte 19: tag 0 begins with 0"},
		"tag 035":                 {string(sealed("35=0|035=x|")), "", "begins with 0"},
		"huge tag":                {string(sealed("35=0|12345678901=x|")), "", "not with a tag of at most 9 digits"},
		"negative tag":            {string(sealed("35=0|-5=x|")), "", "not with a tag"},
		"no tag":                  {string(sealed("35=0|=x|")), "", "not with a tag"},
		"no value and no sign":    {string(sealed("35=0|58|")), "", "not with a tag"},
		"two separators":          {string(sealed("35=0||")), "", "not with a tag"},
		"length of data negative": {string(sealed("35=0|95=-1|96=x|")), "tag 95", "no whole number"},
		"length of data too long": {string(sealed("35=0|95=4000|96=x|")), "tag 95", "is more than"},
		"data longer than it is":  {string(sealed("35=0|95=30|96=x|")), "tag 96", "does not end after the 30 bytes"},
		"data shorter than it is": {string(sealed("35=0|95=1|96=xyz|")), "tag 96", "does not end after the 1 bytes"},
	} {
		t.Run(name, func(t *testing.T) {
			m, err := fix.Parse([]byte(tt.raw))
			require.NotNil(t, err)
			assert.Nil(t, m)
			assert.Equal(t, domain.ClassRejected, err.Class)
			assert.Equal(t, tt.field, err.Field)
			assert.Contains(t, err.Error(), tt.says)
		})
	}
}

func TestParse_HasBounds(t *testing.T) {
	_, err := fix.Parse(bytes.Repeat([]byte("8=FIX.4.4\x01"), 5<<20))
	require.NotNil(t, err)
	assert.Equal(t, domain.CodeTooLarge, err.Code)
	_, err = fix.Parse(sealed("35=0|" + strings.Repeat("58=x|", 9000)))
	require.NotNil(t, err)
	assert.Equal(t, domain.CodeTooLarge, err.Code)
	m, err := fix.Parse(sealed("35=0|" + strings.Repeat("58=|", 100)))
	require.Nil(t, err)
	assert.Len(t, m.Fields, 4, "a tag without a value says nothing")
}

func FuzzParse(f *testing.F) {
	f.Add(fixtest.Message(7, fill))
	f.Add(fixtest.Bars(fixtest.Message(7, fill)))
	f.Add(sealed("35=B|95=3|96=a|b|"))
	f.Add(sealed("35=8|453=2|448=a|447=D|452=1|448=b|447=D|452=3|"))
	f.Add([]byte("8=FIX.4.4\x019=9223372036854775807\x01"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		before := bytes.Clone(raw)
		m, err := fix.Parse(raw)
		require.Equal(t, before, raw, "the input is not written to")
		if err != nil {
			require.NotEmpty(t, err.Message)
			require.Nil(t, m)
		} else {
			again, err := fix.Parse(m.Raw)
			require.Nil(t, err)
			require.Equal(t, m, again)
		}
		// Whatever it is, it becomes items, each an event or an error.
		items, itemsErr := fix.NewMapper(fix.Options{Gaps: true}).Items(t.Context(), fix.Piece{Line: 1, Raw: raw}, morning)
		require.NoError(t, itemsErr)
		for _, item := range items {
			requireSound(t, item)
		}
	})
}

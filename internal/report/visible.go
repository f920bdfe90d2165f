package report

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// visible makes text harmless for people's eyes: what is not seen (control
// characters, marks that turn the direction of what follows, characters of width
// zero) and what the output can't show is written as its code point, [U+202E], so that
// nothing is hidden and nothing is lost. shown says what the output can show; nil:
// everything.
func visible(text string, shown func(rune) bool) string {
	plain := true
	for _, c := range text {
		if c == utf8.RuneError || hidden(c) || shown != nil && !shown(c) {
			plain = false
			break
		}
	}
	if plain {
		return text
	}
	var b strings.Builder
	for i, c := range text {
		switch {
		case c == utf8.RuneError && !strings.HasPrefix(text[i:], string(utf8.RuneError)):
			fmt.Fprintf(&b, "[0x%02X]", text[i]) // not UTF-8
		case hidden(c), shown != nil && !shown(c):
			fmt.Fprintf(&b, "[U+%04X]", c)
		default:
			b.WriteRune(c)
		}
	}
	return b.String()
}

// hidden reports whether a character has no picture of its own, or changes that of
// others. (Not so a space.)
func hidden(c rune) bool {
	switch {
	case c >= ' ' && c < 0x7f:
		return false
	case c == '\u115f', c == '\u1160', c == '\u3164', c == '\uffa0': // letters that show nothing
		return true
	default:
		return unicode.In(c, unicode.Cc, unicode.Cf, unicode.Co, unicode.Zl, unicode.Zp, unicode.Variation_Selector) || !unicode.IsGraphic(c)
	}
}

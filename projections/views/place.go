package views

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/tradetrail/tradetrail/domain"
)

// place is a position as it stands in Redis: decimal, which Redis packs into a
// few bytes; the prepare position only where it differs.
func place(p domain.Position) string {
	text := strconv.FormatUint(p.Commit, 10)
	if p.Prepare != p.Commit {
		text += "/" + strconv.FormatUint(p.Prepare, 10)
	}
	return text
}

func parsePlace(text string) (domain.Position, error) {
	commit, prepare, differs := strings.Cut(text, "/")
	c, err := strconv.ParseUint(commit, 10, 64)
	if err != nil {
		return domain.Position{}, damaged("position %q", text)
	}
	if !differs {
		return domain.Position{Commit: c, Prepare: c}, nil
	}
	p, err := strconv.ParseUint(prepare, 10, 64)
	if err != nil {
		return domain.Position{}, damaged("position %q", text)
	}
	return domain.Position{Commit: c, Prepare: p}, nil
}

// damaged says that a view holds what no fold writes. Rebuilding mends it.
func damaged(format string, args ...any) error {
	return &domain.Error{
		Class: domain.ClassIntegrity, Code: "view_damaged",
		Message: "the read model holds " + fmt.Sprintf(format, args...) + "; rebuild the view",
	}
}

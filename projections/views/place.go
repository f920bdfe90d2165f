package views

import (
	"encoding/binary"
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

func parsePlaces(texts []string) ([]domain.Position, error) {
	places := make([]domain.Position, len(texts))
	for i, text := range texts {
		var err error
		if places[i], err = parsePlace(text); err != nil {
			return nil, err
		}
	}
	return places, nil
}

// packPlaces writes rising positions in three or four bytes each: what the commit
// position rises by, doubled, and one more if a prepare position follows, as its
// distance before the commit position (modulo 2^64).
func packPlaces(out []byte, places []domain.Position) []byte {
	var before uint64
	for _, p := range places {
		step := (p.Commit - before) << 1
		if p.Prepare != p.Commit {
			out = binary.AppendUvarint(out, step|1)
			out = binary.AppendUvarint(out, p.Commit-p.Prepare)
		} else {
			out = binary.AppendUvarint(out, step)
		}
		before = p.Commit
	}
	return out
}

func unpackPlaces(packed string) ([]domain.Position, error) {
	data := []byte(packed)
	var places []domain.Position
	var commit uint64
	for len(data) > 0 {
		step, n := binary.Uvarint(data)
		if n <= 0 {
			return nil, damaged("a broken list of positions")
		}
		data = data[n:]
		commit += step >> 1
		p := domain.Position{Commit: commit, Prepare: commit}
		if step&1 == 1 {
			back, n := binary.Uvarint(data)
			if n <= 0 {
				return nil, damaged("a broken list of positions")
			}
			data = data[n:]
			p.Prepare -= back
		}
		places = append(places, p)
	}
	return places, nil
}

const codeDamaged = "view_damaged"

// damaged says that a view holds what no fold writes. Rebuilding mends it.
func damaged(format string, args ...any) error {
	return &domain.Error{
		Class: domain.ClassIntegrity, Code: codeDamaged,
		Message: "the read model holds " + fmt.Sprintf(format, args...) + "; rebuild the view",
	}
}

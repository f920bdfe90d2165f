package pdf

import (
	"encoding/binary"
	"errors"
	"maps"
	"slices"
)

// fontTables are the tables of a TrueType file, by their tags.
type fontTables map[string][]byte

var errFontFile = errors.New("the file contradicts itself")

// embedded are the tables that a PDF reader needs of a font whose characters it
// finds by glyph number.
func embedded() []string {
	return []string{"cvt ", "fpgm", "glyf", "head", "hhea", "hmtx", "loca", "maxp", "prep"}
}

func tablesOf(file []byte) (fontTables, error) {
	const head, entry = 12, 16
	if len(file) < head {
		return nil, errFontFile
	}
	tables := make(fontTables)
	count := int(binary.BigEndian.Uint16(file[4:]))
	if len(file) < head+count*entry {
		return nil, errFontFile
	}
	for i := range count {
		e := file[head+i*entry:]
		tag, offset, length := string(e[:4]), uint64(binary.BigEndian.Uint32(e[8:])), uint64(binary.BigEndian.Uint32(e[12:]))
		if offset+length > uint64(len(file)) {
			return nil, errFontFile
		}
		if slices.Contains(embedded(), tag) {
			tables[tag] = file[offset : offset+length]
		}
	}
	return tables, nil
}

// reduce empties all glyphs but those to keep, and the parts that these are made of.
func (t fontTables) reduce(keep map[uint16]bool) error {
	const long = 51 // where head says how offsets are written
	if len(t["head"]) <= long || len(t["maxp"]) < 6 {
		return errFontFile
	}
	glyphs := int(binary.BigEndian.Uint16(t["maxp"][4:]))
	offset := func(i int) int { return 2 * int(binary.BigEndian.Uint16(t["loca"][2*i:])) }
	width := 2
	if t["head"][long] == 1 {
		offset = func(i int) int { return int(binary.BigEndian.Uint32(t["loca"][4*i:])) }
		width = 4
	}
	if len(t["loca"]) < (glyphs+1)*width {
		return errFontFile
	}
	outline := func(i uint16) ([]byte, error) {
		from, to := offset(int(i)), offset(int(i)+1)
		if int(i) >= glyphs || from > to || to > len(t["glyf"]) {
			return nil, errFontFile
		}
		return t["glyf"][from:to], nil
	}
	for queue := slices.Sorted(maps.Keys(keep)); len(queue) > 0; queue = queue[1:] {
		data, err := outline(queue[0])
		if err != nil {
			return err
		}
		parts, err := partsOf(data)
		if err != nil {
			return err
		}
		for _, part := range parts {
			if !keep[part] {
				keep[part] = true
				queue = append(queue, part)
			}
		}
	}
	var glyf, loca []byte
	for i := range glyphs {
		loca = binary.BigEndian.AppendUint32(loca, uint32(len(glyf))) //nolint:gosec // smaller than the file
		index := uint16(i)
		if !keep[index] {
			continue
		}
		data, err := outline(index)
		if err != nil {
			return err
		}
		glyf = append(glyf, data...)
		for len(glyf)%4 != 0 {
			glyf = append(glyf, 0)
		}
	}
	t["glyf"], t["loca"] = glyf, binary.BigEndian.AppendUint32(loca, uint32(len(glyf))) //nolint:gosec // smaller than the file
	t["head"] = slices.Clone(t["head"])
	t["head"][long] = 1
	return nil
}

// partsOf lists the glyphs that a compound glyph is made of.
func partsOf(data []byte) ([]uint16, error) {
	const (
		head                                  = 10
		words, scale, more, scaleXY, twoByTwo = 1, 8, 32, 64, 128
	)
	if len(data) < head || int16(binary.BigEndian.Uint16(data)) >= 0 { //nolint:gosec // below 0 says compound
		return nil, nil
	}
	var parts []uint16
	for rest := data[head:]; ; {
		if len(rest) < 4 {
			return nil, errFontFile
		}
		flags := binary.BigEndian.Uint16(rest)
		parts = append(parts, binary.BigEndian.Uint16(rest[2:]))
		size := 6
		if flags&words != 0 {
			size += 2
		}
		switch {
		case flags&scale != 0:
			size += 2
		case flags&scaleXY != 0:
			size += 4
		case flags&twoByTwo != 0:
			size += 8
		}
		if flags&more == 0 {
			return parts, nil
		}
		if len(rest) < size {
			return nil, errFontFile
		}
		rest = rest[size:]
	}
}

// file puts the tables together.
func (t fontTables) file() []byte {
	tags := slices.Sorted(maps.Keys(t))
	count := uint16(len(tags)) //nolint:gosec // at most nine
	entrySelector := uint16(0)
	for 2<<entrySelector <= count {
		entrySelector++
	}
	search := uint16(16) << entrySelector
	file := binary.BigEndian.AppendUint32(nil, 0x00010000)
	for _, v := range []uint16{count, search, entrySelector, count*16 - search} {
		file = binary.BigEndian.AppendUint16(file, v)
	}
	offset := 12 + 16*len(tags)
	for _, tag := range tags {
		file = append(file, tag...)
		for _, v := range []int{checksum(t[tag]), offset, len(t[tag])} {
			file = binary.BigEndian.AppendUint32(file, uint32(v)) //nolint:gosec // of a file of less than 1 MiB
		}
		offset += (len(t[tag]) + 3) / 4 * 4
	}
	for _, tag := range tags {
		file = append(file, t[tag]...)
		for len(file)%4 != 0 {
			file = append(file, 0)
		}
	}
	return file
}

func checksum(table []byte) int {
	var sum uint32
	for chunk := range slices.Chunk(table, 4) {
		var word [4]byte
		copy(word[:], chunk)
		sum += binary.BigEndian.Uint32(word[:])
	}
	return int(sum)
}

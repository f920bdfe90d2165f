package wire

import (
	"math"
	"strconv"
	"time"

	"google.golang.org/protobuf/encoding/protowire"
)

// Field numbers of AppendReq.
const (
	FieldAppendOptions  protowire.Number = 1
	FieldAppendProposed protowire.Number = 2
)

// Field numbers of BatchAppendReq.
const (
	FieldBatchCorrelation protowire.Number = 1
	FieldBatchOptions     protowire.Number = 2
	FieldBatchProposed    protowire.Number = 3
	FieldBatchFinal       protowire.Number = 4
)

// Field numbers of AppendResp and BatchAppendResp.
const (
	FieldAppendSuccess protowire.Number = 1

	FieldBatchRespCorrelation protowire.Number = 1
	FieldBatchRespError       protowire.Number = 2
	FieldBatchRespSuccess     protowire.Number = 3
	FieldBatchRespStream      protowire.Number = 4
)

// Field numbers of the options of both calls; deadlines are BatchAppend's only.
const (
	fieldOptionsStream   protowire.Number = 1
	fieldOptionsRevision protowire.Number = 2
	fieldOptionsNoStream protowire.Number = 3
	fieldOptionsAny      protowire.Number = 4
	fieldOptionsExists   protowire.Number = 5
	fieldOptionsAt       protowire.Number = 6
	fieldOptionsWithin   protowire.Number = 7
	// BatchAppendResp repeats what was expected, three numbers later.
	echoed protowire.Number = 3
)

// Expectation is what an append expects a stream's last revision to be: a
// revision, or one of the named ones, in EventStoreDB's own numbers.
type Expectation int64

// The named expectations.
const (
	NoStream     Expectation = -1
	Any          Expectation = -2
	StreamExists Expectation = -4
)

// ExpectRevision takes a revision off the wire. One which no stream can have is
// kept as the largest, which is equally never met.
func ExpectRevision(revision uint64) Expectation {
	return Expectation(min(revision, math.MaxInt64-1)) //nolint:gosec // bounded
}

func (e Expectation) String() string {
	switch e {
	case NoStream:
		return "no stream"
	case Any:
		return "any revision"
	case StreamExists:
		return "an existing stream"
	default:
		return "revision " + strconv.FormatInt(int64(e), 10)
	}
}

func (e Expectation) append(dst []byte, shift protowire.Number) []byte {
	switch e {
	case NoStream:
		return AppendEmpty(dst, fieldOptionsNoStream+shift)
	case Any:
		return AppendEmpty(dst, fieldOptionsAny+shift)
	case StreamExists:
		return AppendEmpty(dst, fieldOptionsExists+shift)
	default:
		dst = protowire.AppendTag(dst, fieldOptionsRevision+shift, protowire.VarintType)
		return protowire.AppendVarint(dst, uint64(e)) //nolint:gosec // the named ones are handled above
	}
}

// AppendEcho appends the fields by which a BatchAppendResp repeats what was expected.
func (e Expectation) AppendEcho(dst []byte) []byte { return e.append(dst, echoed) }

// Options are the options of either append call.
type Options struct {
	Stream   []byte
	Expected Expectation
	Expects  bool // an expectation was given

	// BatchAppend's deadlines; AppendReq has no such fields.
	At     *time.Time     // as servers before 21.10.1 take it
	Within *time.Duration // as later ones take it
}

// longest is more than anybody waits, and still fits a time.Duration.
const longest = 1 << 32

// Decode takes the options; the stream's name aliases b.
func (o *Options) Decode(b []byte) error {
	return Fields(b, func(field protowire.Number, value []byte, number uint64) (err error) {
		if (value == nil) != (field == fieldOptionsRevision) {
			return nil
		}
		switch field {
		case fieldOptionsStream:
			o.Stream, err = DecodeStream(value)
			return err
		case fieldOptionsAt:
			seconds, nanos, err := decodeTime(value)
			at := time.Unix(seconds, nanos)
			o.At = &at
			return err
		case fieldOptionsWithin:
			seconds, nanos, err := decodeTime(value)
			within := time.Duration(max(-longest, min(seconds, longest)))*time.Second + time.Duration(nanos)
			o.Within = &within
			return err
		case fieldOptionsRevision:
			o.Expected = ExpectRevision(number)
		case fieldOptionsNoStream:
			o.Expected = NoStream
		case fieldOptionsAny:
			o.Expected = Any
		case fieldOptionsExists:
			o.Expected = StreamExists
		default:
			return nil
		}
		o.Expects = true
		return nil
	})
}

// AppendBatchOptions appends BatchAppend's options, as a field of its request.
func AppendBatchOptions(dst []byte, stream string, expected Expectation, within time.Duration) []byte {
	var deadline [24]byte
	d := protowire.AppendTag(deadline[:0], 1, protowire.VarintType)
	d = protowire.AppendVarint(d, uint64(within/time.Second)) //nolint:gosec // not negative
	d = protowire.AppendTag(d, 2, protowire.VarintType)
	d = protowire.AppendVarint(d, uint64(within%time.Second)) //nolint:gosec // not negative

	options := make([]byte, 0, len(stream)+48)
	options = AppendStream(options, fieldOptionsStream, stream)
	options = expected.append(options, 0)
	options = protowire.AppendTag(options, fieldOptionsWithin, protowire.BytesType)
	options = protowire.AppendBytes(options, d)
	dst = protowire.AppendTag(dst, FieldBatchOptions, protowire.BytesType)
	return protowire.AppendBytes(dst, options)
}

// decodeTime takes a Timestamp or a Duration: both have seconds and nanoseconds.
func decodeTime(b []byte) (seconds, nanos int64, err error) {
	err = Fields(b, func(field protowire.Number, _ []byte, number uint64) error {
		switch field {
		case 1:
			seconds = int64(number) //nolint:gosec // int64 on the wire
		case 2:
			nanos = int64(number) //nolint:gosec // int32 on the wire
		}
		return nil
	})
	return seconds, nanos, err
}

// Field numbers of the Success of both calls, and of its position.
const (
	fieldSuccessRevision   protowire.Number = 1
	fieldSuccessNoStream   protowire.Number = 2
	fieldSuccessPosition   protowire.Number = 3
	fieldSuccessNoPosition protowire.Number = 4
	fieldPositionCommit    protowire.Number = 1
	fieldPositionPrepare   protowire.Number = 2
)

// Success is where an append ended.
type Success struct {
	Revision int64 // -1: the stream has no events
	Commit   uint64
	Prepare  uint64 // both 0: nothing was written
}

// Append appends the success as the given field.
func (s Success) Append(dst []byte, field protowire.Number) []byte {
	var inner [64]byte
	b := inner[:0]
	if s.Revision >= 0 {
		b = protowire.AppendTag(b, fieldSuccessRevision, protowire.VarintType)
		b = protowire.AppendVarint(b, uint64(s.Revision))
	} else {
		b = AppendEmpty(b, fieldSuccessNoStream)
	}
	if s.Commit > 0 {
		b = AppendPosition(b, fieldSuccessPosition, s.Commit, s.Prepare)
	} else {
		b = AppendEmpty(b, fieldSuccessNoPosition)
	}
	return protowire.AppendBytes(protowire.AppendTag(dst, field, protowire.BytesType), b)
}

// AppendPosition appends a field that is a position in $all: a Checkpoint is one too.
func AppendPosition(dst []byte, field protowire.Number, commit, prepare uint64) []byte {
	dst = protowire.AppendTag(dst, field, protowire.BytesType)
	dst = AppendLength(dst, 2+protowire.SizeVarint(commit)+protowire.SizeVarint(prepare))
	dst = protowire.AppendTag(dst, fieldPositionCommit, protowire.VarintType)
	dst = protowire.AppendVarint(dst, commit)
	dst = protowire.AppendTag(dst, fieldPositionPrepare, protowire.VarintType)
	return protowire.AppendVarint(dst, prepare)
}

// Decode takes a Success.
func (s *Success) Decode(b []byte) error {
	s.Revision = -1
	return Fields(b, func(field protowire.Number, value []byte, number uint64) error {
		switch field {
		case fieldSuccessRevision:
			s.Revision = int64(number) //nolint:gosec // int64 on the server
		case fieldSuccessPosition:
			return Fields(value, func(field protowire.Number, _ []byte, number uint64) error {
				switch field {
				case fieldPositionCommit:
					s.Commit = number
				case fieldPositionPrepare:
					s.Prepare = number
				}
				return nil
			})
		}
		return nil
	})
}

package verify

import (
	"bytes"
	"compress/zlib"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"strconv"
	"strings"
)

// Report verifies a PDF with a seal: first that no byte of it is another than when
// the log's key sealed it, and then the bundle within it. open gives the file from
// its beginning; it is called twice. What is kept of it is a few KiB. Errors and
// each are as for Bundle.
func Report(open func() (io.ReadCloser, error), trust Trust, each func(index uint64, leaf Leaf, said *Said)) (Verdict, error) {
	seal, key, failure, err := openSealed(open, trust.Keys)
	if err != nil {
		return Verdict{}, err
	}
	if failure != nil {
		return refused(KindReport, failure), nil
	}
	verdict, err := sealedBundle(open, seal, trust, each)
	if err != nil {
		return Verdict{}, err
	}
	verdict.Sealed = &seal.Created
	if c := verdict.Checkpoint; c != nil && *c != seal.Checkpoint {
		verdict.fail(&Failure{What: Changed, Message: "the bundle in the file is under another checkpoint than its seal"})
	}
	if verdict.Kind != "" && verdict.Kind != KindReport {
		verdict.fail(&Failure{What: Changed, Message: "the bundle in the file is not that of a report"})
	}
	if now := trust.At; !now.IsZero() && seal.Created.After(now.Add(trust.Tolerance)) {
		verdict.fail(&Failure{What: Future, Message: fmt.Sprintf("it was sealed at %s, and it is %s", rfc3339(seal.Created), rfc3339(now))})
	}
	verdict.proven("not a byte of this file is another than when %s sealed it, at %s by its own clock", key, rfc3339(seal.Created))
	verdict.notProven("its pages say what its events say: for that stands whoever holds the log's key. Rows have the index and the beginning of the hash of their leaf, and the bundle has what was recorded")
	verdict.close()
	return verdict, nil
}

// refused is the verdict on what can't be checked any further.
func refused(kind string, failure *Failure) Verdict {
	return Verdict{Kind: kind, Proven: []string{}, NotProven: []string{}, Failures: []*Failure{failure}}
}

// close decides.
func (v *Verdict) close() {
	v.Verified = len(v.Failures) == 0
	if !v.Verified {
		v.Proven = []string{}
	}
}

// openSealed reads a file once. The digest of all but the seal needs its end, so the
// last bytes stay behind in a tail until no more come.
func openSealed(open func() (io.ReadCloser, error), keys Keys) (s Seal, key string, failure *Failure, err error) {
	file, err := open()
	if err != nil {
		return s, "", nil, err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	sum := &trailing{sum: sha256.New()}
	if _, err := io.Copy(sum, file); err != nil {
		return s, "", nil, fmt.Errorf("reading the report: %w", err)
	}
	begin := bytes.LastIndex(sum.tail, []byte(SealBegins))
	if begin < 0 {
		return s, "", unsealed("there is none"), nil
	}
	begin += len(SealBegins)
	length := bytes.IndexByte(sum.tail[begin:], '\n')
	if length < 0 || !isEnd(sum.tail[begin+length:]) {
		return s, "", unsealed("something else stands behind it than must"), nil
	}
	text, err := strictBase64(sum.tail[begin : begin+length])
	if err != nil {
		return s, "", unsealed("it can't be read"), nil
	}
	sum.sum.Write(sum.tail[:begin])
	sum.sum.Write(sum.tail[begin+length:])
	said, _, _ := strings.Cut(string(text), "\n\n")
	if claimed, err := ParseSeal(said + "\n"); err == nil && claimed.Digest != Digest(sum.sum.Sum(nil)) {
		return s, "", &Failure{What: Changed, Message: "the file is not what was sealed: something in it was changed, removed or added"}, nil
	}
	if s, key, failure = keys.OpenSeal(string(text)); failure != nil {
		failure.Message = "the seal: " + failure.Message
		return s, "", failure, nil
	}
	return s, key, nil, nil
}

func unsealed(why string) *Failure {
	return &Failure{What: Unsealed, Message: "it does not end with a seal: " + why + ". It never had one, or it was cut off, or something was put behind it"}
}

// isEnd reports whether text is SealEnds with some number.
func isEnd(text []byte) bool {
	parts := bytes.Split(text, []byte("\n"))
	if len(parts) != 5 {
		return false
	}
	place, err := strconv.ParseUint(string(parts[2]), 10, 62)
	return err == nil && string(text) == fmt.Sprintf(SealEnds, place)
}

// trailing hashes all but the last MaxSealed bytes of what it is given.
type trailing struct {
	sum  hash.Hash
	tail []byte
}

func (t *trailing) Write(p []byte) (int, error) {
	t.tail = append(t.tail, p...)
	if more := len(t.tail) - MaxSealed; more > 0 {
		t.sum.Write(t.tail[:more])
		t.tail = t.tail[:copy(t.tail, t.tail[more:])]
	}
	return len(p), nil
}

// sealedBundle verifies the bundle at the place that the seal says.
func sealedBundle(open func() (io.ReadCloser, error), s Seal, trust Trust, each func(uint64, Leaf, *Said)) (v Verdict, err error) {
	file, err := open()
	if err != nil {
		return v, err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	if _, err := io.CopyN(io.Discard, file, int64(s.Offset)); errors.Is(err, io.EOF) { //nolint:gosec // below 2^62
		return refused(KindReport, missing(err)), nil
	} else if err != nil {
		return v, fmt.Errorf("reading the report: %w", err)
	}
	packed := &packed{from: io.LimitReader(file, int64(s.Length))} //nolint:gosec // as above
	text, err := zlib.NewReader(packed)
	if err != nil {
		return refused(KindReport, missing(err)), packed.broken
	}
	v, err = Bundle(text, trust, each)
	if err != nil && packed.broken == nil {
		return refused(KindReport, missing(err)), nil
	}
	return v, err
}

func missing(err error) *Failure {
	return &Failure{What: Malformed, Message: "the bundle is not where the seal says that it is: " + err.Error()}
}

// packed tells a broken disk from a broken stream.
type packed struct {
	from   io.Reader
	broken error
}

func (p *packed) Read(b []byte) (int, error) {
	n, err := p.from.Read(b)
	if err != nil && !errors.Is(err, io.EOF) {
		p.broken = err
	}
	return n, err
}

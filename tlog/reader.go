package tlog

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/tradetrail/tradetrail/domain"
	"github.com/tradetrail/tradetrail/tlog/tiles"
	"github.com/tradetrail/tradetrail/tlog/verify"
)

// Reader reads the folder of a log, also while another process writes it. Its
// methods may be called concurrently.
type Reader struct {
	dir    string
	folder *tiles.Folder
	log    *tiles.Log
}

// OpenReader opens the folder of a log. Close must be called.
func OpenReader(dir string) (*Reader, error) {
	folder, err := tiles.OpenFolder(dir)
	if err != nil {
		return nil, err
	}
	return &Reader{dir: dir, folder: folder, log: tiles.New(folder)}, nil
}

// Close closes the folder.
func (r *Reader) Close() error { return r.folder.Close() }

// State reads what is signed. Signatures are not looked at.
func (r *Reader) State(ctx context.Context) (State, error) {
	sealed, err := r.checkpoint(ctx, checkpointFile)
	if err != nil {
		return State{}, err
	}
	witnessed, err := r.witnessed(ctx)
	return State{sealed, witnessed}, err
}

// witnessed reads the newest checkpoint that witnesses have signed; it is zero when
// there is none.
func (r *Reader) witnessed(ctx context.Context) (Checkpoint, error) {
	c, err := r.checkpoint(ctx, witnessedFile)
	if errors.Is(err, fs.ErrNotExist) {
		return Checkpoint{}, nil
	}
	return c, err
}

// maxNote is far more than a checkpoint with the signatures of witnesses has, and than the
// file of keys of a log that rotates them each day.
const maxNote = 4 << 20

// ErrTooLong says that a file is not what it must be.
var ErrTooLong = fmt.Errorf("it has more than %d bytes: it is too long to be what it must be", maxNote)

// ReadShort reads and closes a file that must be short, whoever wrote it; else the error
// is ErrTooLong.
func ReadShort(file *os.File) ([]byte, error) {
	defer func() { _ = file.Close() }() // it was only read
	text, err := io.ReadAll(io.LimitReader(file, maxNote+1))
	if err == nil && len(text) > maxNote {
		return nil, ErrTooLong
	}
	return text, err
}

func readBounded(path string) ([]byte, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	text, err := ReadShort(file)
	if errors.Is(err, ErrTooLong) {
		return nil, damaged(path, err)
	}
	return text, err
}

// noteIn reads a signed note. Its signatures are not looked at.
func (r *Reader) noteIn(name string) (Checkpoint, error) {
	path := filepath.Join(r.dir, name)
	text, err := readBounded(path)
	if err != nil {
		return Checkpoint{}, fmt.Errorf("reading a checkpoint: %w", err)
	}
	c, err := parseNote(string(text))
	if err != nil {
		return c, damaged(path, err)
	}
	return c, nil
}

// checkpoint reads a signed note. Its time is the file's, which is when it came
// here.
func (r *Reader) checkpoint(ctx context.Context, name string) (Checkpoint, error) {
	c, err := r.noteIn(name)
	if err != nil {
		return c, err
	}
	path := filepath.Join(r.dir, name)
	info, err := os.Stat(path)
	if err != nil {
		return c, fmt.Errorf("reading a checkpoint: %w", err)
	}
	c.Time = info.ModTime().UTC()
	c.Last, err = r.lastOf(ctx, c.Size)
	return c, err
}

// lastOf is the position of the last event under a size; zero of an empty log.
func (r *Reader) lastOf(ctx context.Context, size uint64) (domain.Position, error) {
	if size == 0 {
		return domain.Position{}, nil
	}
	text, err := r.log.At(size).Leaf(ctx, size-1)
	if err != nil {
		return domain.Position{}, err
	}
	leaf, err := verify.ParseLeaf(text)
	if err != nil {
		return domain.Position{}, damaged(fmt.Sprintf("leaf %d", size-1), err)
	}
	return leaf.Position, nil
}

// Index is the number of the leaf of the event at a position under a checkpoint; ok
// is false if it is not under it.
func (r *Reader) Index(ctx context.Context, p domain.Position, under Checkpoint) (index uint64, ok bool, err error) {
	if !under.includes(p) {
		return 0, false, nil
	}
	return r.log.At(under.Size).Find(ctx, p)
}

// Proof shows that a leaf is in the tree of a checkpoint.
type Proof struct {
	Index      uint64
	Leaf       []byte
	Hashes     [][]byte // from the leaf up
	Checkpoint Checkpoint
	Seal       Seal // of the checkpoint
}

// Prove proves the event at a position under a checkpoint; ok is false if it is not
// under it.
func (r *Reader) Prove(ctx context.Context, p domain.Position, under Checkpoint) (proof Proof, ok bool, err error) {
	index, ok, err := r.Index(ctx, p, under)
	if err != nil || !ok {
		return proof, false, err
	}
	tree := r.log.At(under.Size)
	leaf, err := tree.Leaf(ctx, index)
	if err != nil {
		return proof, false, err
	}
	hashes, err := tree.Inclusion(ctx, index)
	if err != nil {
		return proof, false, err
	}
	return Proof{Index: index, Leaf: leaf, Hashes: hashes, Checkpoint: under, Seal: Sealed}, true, nil
}

// Tiles is the log that the reader reads, and keeps the newest files of.
func (r *Reader) Tiles() *tiles.Log { return r.log }

// File reads what https://c2sp.org/tlog-tiles calls path, or the file of keys.
// Which paths may be asked for is for the caller to decide. One that is not there
// is fs.ErrNotExist.
func (r *Reader) File(ctx context.Context, path string) ([]byte, error) {
	return r.folder.Read(ctx, path)
}

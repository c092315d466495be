package revoke

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"iter"
	"os"
	"path/filepath"
	"sync"
	"time"
)

// Journal is a Log in a file, so that a restart of one node forgets nothing. Path is
// required; the fields are set before the first use. Nobody else may have the file
// open: on Unix, that is seen to.
type Journal struct {
	// Path is the file. It is made when it is not there, with mode 0600.
	Path string
	// NoSync leaves it to the system when writes reach the disk: a crash of the
	// machine may then lose what was acknowledged, one of the process does not.
	NoSync bool
	// CompactAbove is the size in bytes from which on the file is written anew
	// without what has lapsed, whenever it has doubled. Zero: 64 MiB.
	CompactAbove int64

	once      sync.Once
	turn      chan struct{} // who has put something in may use what follows
	file      *os.File
	size      int64  // of what is whole
	compacted int64  // the size after the last compaction
	count     uint64 // entries in the file
	added     uint64 // the position of the last
	broken    error
}

var _ Log = (*Journal)(nil)

// A file is magic, then frames: length, CRC-32C of what follows, until in
// milliseconds, data.
const (
	journalMagic = "gatehouse revoke journal 1\n"
	frameHead    = 4 + 4 + 8
	maxFrame     = 4 << 10

	journalBuffer = 64 << 10
	maxTorn       = 1 << 20
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// check is what New asks: without a Path, every token would be a 503 later.
func (j *Journal) check() error {
	if j == nil || j.Path == "" { // nil: it is a field of another Log
		return errors.New("Path: required")
	}
	return nil
}

// lock waits for the turn, or for ctx.
func (j *Journal) lock(ctx context.Context) error {
	j.once.Do(func() { j.turn = make(chan struct{}, 1) })
	select {
	case j.turn <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (j *Journal) unlock() { <-j.turn }

// open reads the file through once, and cuts off what a crash has left unfinished
// at its end. The caller has the turn.
func (j *Journal) open() error {
	switch {
	case j.broken != nil:
		return j.broken
	case j.file != nil:
		return nil
	}
	if err := j.check(); err != nil {
		return fmt.Errorf("revoke: Journal: %w", err)
	}
	f, err := os.OpenFile(j.Path, os.O_RDWR|os.O_CREATE, 0o600) //nolint:gosec // the owner says where
	if err != nil {
		return err
	}
	if err := j.recover(f); err != nil {
		_ = f.Close()
		return fmt.Errorf("revoke: journal: %w", err)
	}
	j.file = f
	j.tidy()
	return nil
}

func (j *Journal) recover(f *os.File) error {
	if err := lockFile(f); err != nil {
		return err
	}
	if err := j.isAt(f); err != nil {
		return err // another process has put a compacted one in its place
	}
	info, err := f.Stat()
	if err != nil {
		return err
	}
	head := make([]byte, len(journalMagic))
	n, err := io.ReadFull(f, head)
	switch {
	case err != nil && string(head[:n]) == journalMagic[:n]: // new, or its first write was torn
		if err := f.Truncate(0); err != nil {
			return err
		}
		if _, err := f.WriteAt([]byte(journalMagic), 0); err != nil {
			return err
		}
		j.size = int64(len(journalMagic))
		return errors.Join(f.Sync(), syncDir(j.Path))
	case string(head) != journalMagic:
		return errors.New("the file is no journal of this version")
	}
	j.size, j.count = int64(len(journalMagic)), 0
	for frame, err := range frames(f, j.size, info.Size()) {
		if err != nil {
			return err
		}
		j.size += int64(frameHead + len(frame.Data))
		j.count++
	}
	j.compacted, j.added = j.size, max(j.added, j.count)
	if j.size < info.Size() {
		if whole, err := wholeFrameAfter(f, j.size, info.Size()); err != nil || whole {
			return errors.Join(err, errors.New("damaged in the middle: what comes after would be lost"))
		}
		return errors.Join(f.Truncate(j.size), f.Sync())
	}
	return nil
}

// isAt reports whether what is open is the file that a restart would find.
func (j *Journal) isAt(f *os.File) error {
	own, err := f.Stat()
	if err != nil {
		return err
	}
	there, err := os.Stat(j.Path) //nolint:gosec // the owner says where
	if err != nil {
		return err
	}
	if !os.SameFile(own, there) {
		return errors.New("the file was replaced by another")
	}
	return nil
}

// frames reads from one place of a file to another. It ends before the first frame
// that is not whole.
func frames(f io.ReaderAt, from, to int64) iter.Seq2[Entry, error] {
	return func(yield func(Entry, error) bool) {
		r := bufio.NewReaderSize(io.NewSectionReader(f, from, to-from), journalBuffer)
		var head [frameHead]byte
		data := make([]byte, maxFrame)
		for {
			if _, err := io.ReadFull(r, head[:]); err != nil {
				if !ended(err) {
					yield(Entry{}, err)
				}
				return
			}
			n := binary.BigEndian.Uint32(head[:])
			if n > maxFrame {
				return
			}
			if _, err := io.ReadFull(r, data[:n]); err != nil {
				if !ended(err) {
					yield(Entry{}, err)
				}
				return
			}
			if sum(head[8:], data[:n]) != binary.BigEndian.Uint32(head[4:]) {
				return
			}
			e := Entry{Data: data[:n]}
			if until := int64(binary.BigEndian.Uint64(head[8:])); until != foreverMilli {
				e.Until = time.UnixMilli(until)
			}
			if !yield(e, nil) {
				return
			}
		}
	}
}

func ended(err error) bool { return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) }

func sum(parts ...[]byte) (crc uint32) {
	for _, p := range parts {
		crc = crc32.Update(crc, castagnoli, p)
	}
	return crc
}

func appendFrame(b []byte, e Entry) []byte {
	until := int64(foreverMilli)
	if !e.Until.IsZero() {
		until = e.Until.UnixMilli()
	}
	b = binary.BigEndian.AppendUint32(b, uint32(len(e.Data)))
	at := len(b)
	b = append(b, 0, 0, 0, 0)
	b = binary.BigEndian.AppendUint64(b, uint64(until))
	b = append(b, e.Data...)
	binary.BigEndian.PutUint32(b[at:], sum(b[at+4:]))
	return b
}

// Append returns when the entries are on the disk, unless NoSync is set.
func (j *Journal) Append(ctx context.Context, entries []Entry) error {
	if err := j.lock(ctx); err != nil {
		return err
	}
	defer j.unlock()
	if err := j.open(); err != nil {
		return err
	}
	if err := j.isAt(j.file); err != nil {
		return fmt.Errorf("revoke: journal: %w", err)
	}
	var b []byte
	for _, e := range entries {
		if len(e.Data) > maxFrame {
			return errors.New("revoke: journal: entry above 4 KiB")
		}
		b = appendFrame(b, e)
	}
	_, err := j.file.WriteAt(b, j.size)
	if err == nil && !j.NoSync {
		if err = j.file.Sync(); err != nil {
			// What a failed fsync has kept, nobody knows: no more is written.
			j.broken = fmt.Errorf("revoke: journal: %w", err)
		}
	}
	if err != nil {
		_ = j.file.Truncate(j.size) // the next write goes over it anyway
		return fmt.Errorf("revoke: journal: %w", err)
	}
	j.size += int64(len(b))
	j.count += uint64(len(entries))
	j.added += uint64(len(entries))
	above := j.CompactAbove
	if above <= 0 {
		above = 64 << 20
	}
	if j.size > above && j.size > 2*j.compacted {
		j.compacted = j.size // also if it fails: it is tried again at twice the size
		_ = j.compact()      // what is there serves as well
	}
	return nil
}

// compact writes what has not lapsed to a new file, and puts it in the place of the
// old one.
func (j *Journal) compact() error {
	f, err := os.CreateTemp(filepath.Dir(j.Path), j.unfinished()) // mode 0600
	if err != nil {
		return err
	}
	size, count, err := j.copyLive(f)
	if err == nil {
		err = f.Sync()
	}
	if err == nil {
		err = lockFile(f)
	}
	if err == nil {
		err = os.Rename(f.Name(), j.Path) //nolint:gosec // beside it
	}
	if err != nil {
		return errors.Join(err, f.Close(), os.Remove(f.Name())) //nolint:gosec // it was made here
	}
	_ = j.file.Close()
	j.file, j.size, j.compacted, j.count = f, size, size, count
	return syncDir(j.Path)
}

// unfinished is the name of what a crash may leave of a compaction.
func (j *Journal) unfinished() string { return "." + filepath.Base(j.Path) + ".*.new" }

// tidy removes it. The file is locked: nobody compacts it now.
func (j *Journal) tidy() {
	left, _ := filepath.Glob(filepath.Join(filepath.Dir(j.Path), j.unfinished())) // no name, no harm
	for _, name := range left {
		_ = os.Remove(name) //nolint:gosec // beside the journal
	}
}

func (j *Journal) copyLive(f *os.File) (size int64, count uint64, err error) {
	w := bufio.NewWriterSize(f, journalBuffer)
	_, _ = w.WriteString(journalMagic) // its error comes with Flush
	size = int64(len(journalMagic))
	now := time.Now()
	var last []byte
	for e, err := range frames(j.file, size, j.size) {
		if err != nil {
			return 0, 0, err
		}
		last = appendFrame(last[:0], e)
		if e.Until.IsZero() || now.Before(e.Until) {
			size += int64(len(last))
			count++
			_, _ = w.Write(last)
		}
	}
	if count == 0 && last != nil { // that there were entries must not be forgotten
		size += int64(len(last))
		count++
		_, _ = w.Write(last)
	}
	return size, count, w.Flush()
}

// wholeFrameAfter tells damage in the middle from the torn end that a crash leaves:
// behind that there is nothing that was acknowledged.
func wholeFrameAfter(f io.ReaderAt, from, to int64) (bool, error) {
	if to-from > maxTorn {
		return true, nil
	}
	tail := make([]byte, to-from)
	if _, err := f.ReadAt(tail, from); err != nil {
		return false, err
	}
	for i := 1; i+frameHead <= len(tail); i++ {
		n := int(binary.BigEndian.Uint32(tail[i:]))
		if n > 0 && n <= maxFrame && i+frameHead+n <= len(tail) &&
			sum(tail[i+8:i+frameHead+n]) == binary.BigEndian.Uint32(tail[i+4:]) {
			return true, nil
		}
	}
	return false, nil
}

// Replay has the entries that there are when it begins.
func (j *Journal) Replay(ctx context.Context, after [2]uint64) iter.Seq2[Entry, error] {
	return func(yield func(Entry, error) bool) {
		if err := j.lock(ctx); err != nil {
			yield(Entry{}, err)
			return
		}
		err := j.open()
		var f *os.File
		if err == nil {
			f, err = os.Open(j.Path) // its own, which a compaction leaves alone
		}
		size, at := j.size, j.added-j.count
		j.unlock()
		if err != nil {
			yield(Entry{}, err)
			return
		}
		defer f.Close() //nolint:errcheck // it was only read
		for e, err := range frames(f, int64(len(journalMagic)), size) {
			if err == nil {
				err = ctx.Err()
			}
			if err != nil {
				yield(Entry{}, err)
				return
			}
			at++
			if e.Position = [2]uint64{0, at}; before(after, e.Position) && !yield(e, nil) {
				return
			}
		}
	}
}

// Tail has nothing to wait for, as nobody else writes.
func (j *Journal) Tail(ctx context.Context, after [2]uint64) iter.Seq2[Entry, error] {
	return j.Replay(ctx, after)
}

// State opens the file, if it is not open.
func (j *Journal) State(ctx context.Context) (LogState, error) {
	if err := j.lock(ctx); err != nil {
		return LogState{}, err
	}
	defer j.unlock()
	if err := j.open(); err != nil {
		return LogState{}, err
	}
	st := LogState{Epoch: "journal", Added: j.added, Last: [2]uint64{0, j.added}, Local: true}
	if j.count > 0 {
		st.First = [2]uint64{0, j.added - j.count + 1}
	}
	return st, nil
}

// Close lets go of the file. The next use would open it again.
func (j *Journal) Close() error {
	if err := j.lock(context.Background()); err != nil {
		return err
	}
	defer j.unlock()
	if j.file == nil {
		return nil
	}
	err := j.file.Close()
	j.file = nil
	return err
}

// syncDir makes a new name in a folder last.
func syncDir(path string) error {
	dir, err := os.Open(filepath.Dir(path)) //nolint:gosec // the owner says where
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}

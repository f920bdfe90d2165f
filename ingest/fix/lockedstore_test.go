package fix_test

import (
	"sync"

	"github.com/quickfixgo/quickfix"
)

// lockedStores are quickfixgo's stores in memory, which it uses from several
// goroutines although they have no lock.
type lockedStores struct{ inner quickfix.MessageStoreFactory }

func newLockedStores() quickfix.MessageStoreFactory {
	return lockedStores{quickfix.NewMemoryStoreFactory()}
}

func (f lockedStores) Create(id quickfix.SessionID) (quickfix.MessageStore, error) {
	store, err := f.inner.Create(id)
	return &lockedStore{MessageStore: store}, err
}

type lockedStore struct {
	quickfix.MessageStore
	mu sync.Mutex
}

func (s *lockedStore) locked(do func() error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return do()
}

func (s *lockedStore) NextSenderMsgSeqNum() (n int) {
	_ = s.locked(func() error { n = s.MessageStore.NextSenderMsgSeqNum(); return nil })
	return n
}

func (s *lockedStore) NextTargetMsgSeqNum() (n int) {
	_ = s.locked(func() error { n = s.MessageStore.NextTargetMsgSeqNum(); return nil })
	return n
}

func (s *lockedStore) IncrNextSenderMsgSeqNum() error {
	return s.locked(s.MessageStore.IncrNextSenderMsgSeqNum)
}

func (s *lockedStore) IncrNextTargetMsgSeqNum() error {
	return s.locked(s.MessageStore.IncrNextTargetMsgSeqNum)
}

func (s *lockedStore) SaveMessageAndIncrNextSenderMsgSeqNum(n int, msg []byte) error {
	return s.locked(func() error { return s.MessageStore.SaveMessageAndIncrNextSenderMsgSeqNum(n, msg) })
}

func (s *lockedStore) IterateMessages(from, to int, cb func([]byte) error) error {
	var messages [][]byte
	err := s.locked(func() (err error) { messages, err = s.GetMessages(from, to); return err })
	for _, m := range messages {
		if err != nil {
			return err
		}
		err = cb(m)
	}
	return err
}

func (s *lockedStore) Reset() error { return s.locked(s.MessageStore.Reset) }

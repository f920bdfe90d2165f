package views

// Listeners counts the topics that somebody waits on.
func (s *Set) Listeners() int {
	s.hub.mu.Lock()
	defer s.hub.mu.Unlock()
	return len(s.hub.listeners)
}

// ChainEvents reads a chain's events as a live reader does.
var ChainEvents = (*Set).chainEvents


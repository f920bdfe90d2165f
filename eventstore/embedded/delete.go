package embedded

import "errors"

func (w *writer) decideDelete(_ *request, _ *streamHead) error {
	return errors.ErrUnsupported
}

func (w *writer) decideTombstone(_ *request, _ *streamHead) error {
	return errors.ErrUnsupported
}

func (w *writer) undelete(_ *streamHead) error { return nil }

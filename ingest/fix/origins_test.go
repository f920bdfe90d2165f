package fix_test

import "context"

type origins map[string]string

func (o origins) Origin(_ context.Context, id string) (string, error) { return o[id], nil }

func (o origins) Begun(context.Context, string) (bool, error) { return false, nil }

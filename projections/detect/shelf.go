package detect

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/redis/go-redis/v9"

	"github.com/tradetrail/tradetrail/internal/durable"
)

// snapshotKey holds the snapshot in Redis.
const snapshotKey = "tradetrail:{detection}:snapshot"

// redisShelf shares the snapshot between the processes on one Redis.
type redisShelf struct{ client redis.UniversalClient }

// InRedis keeps the snapshot under one key of a Redis: whoever judges next goes on
// there.
func InRedis(client redis.UniversalClient) Shelf { return redisShelf{client} }

func (s redisShelf) Load(ctx context.Context) ([]byte, error) {
	data, err := s.client.Get(ctx, snapshotKey).Bytes()
	if errors.Is(err, redis.Nil) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading the snapshot of the rules from Redis: %w", err)
	}
	return data, nil
}

func (s redisShelf) Save(ctx context.Context, data []byte) error {
	if err := s.client.Set(ctx, snapshotKey, data, 0).Err(); err != nil {
		return fmt.Errorf("writing the snapshot of the rules to Redis: %w", err)
	}
	return nil
}

type fileShelf struct{ path string }

// InFile keeps the snapshot in a file: for a process whose Redis ends with it.
func InFile(path string) Shelf { return fileShelf{path} }

func (s fileShelf) Load(context.Context) ([]byte, error) {
	data, err := os.ReadFile(s.path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading the snapshot of the rules: %w", err)
	}
	return data, nil
}

func (s fileShelf) Save(_ context.Context, data []byte) error {
	if err := os.MkdirAll(filepath.Dir(s.path), 0o700); err != nil {
		return fmt.Errorf("writing the snapshot of the rules: %w", err)
	}
	if err := durable.Replace(s.path, data, 0o600); err != nil {
		return fmt.Errorf("writing the snapshot of the rules: %w", err)
	}
	return nil
}

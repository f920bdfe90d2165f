package embedded

import (
	"encoding/json"
	"math"
	"strings"
	"time"
)

// metastreamPrefix begins the name of the stream that holds another stream's metadata.
const metastreamPrefix = "$$"

// everything is a log end beyond every position: for the writer, which also
// sees what is not durable yet.
const everything uint64 = math.MaxUint64

// streamMeta are the settings that decide which events of a stream are visible.
// The zero value shows all.
type streamMeta struct {
	maxCount       int64
	maxAge         time.Duration
	truncateBefore int64
}

func metastreamOf(stream string) string { return metastreamPrefix + stream }

// metastreamTarget is the stream that a metastream describes.
func metastreamTarget(stream string) (target string, ok bool) {
	return strings.CutPrefix(stream, metastreamPrefix)
}

// parseMeta reads the settings from the data of a $metadata event. What can't
// be understood sets nothing, as on EventStoreDB.
func parseMeta(data []byte) streamMeta {
	var stored struct {
		MaxCount       *int64 `json:"$maxCount"`
		MaxAge         *int64 `json:"$maxAge"`
		TruncateBefore *int64 `json:"$tb"`
	}
	if err := json.Unmarshal(data, &stored); err != nil {
		return streamMeta{}
	}
	var m streamMeta
	if stored.MaxCount != nil && *stored.MaxCount > 0 {
		m.maxCount = *stored.MaxCount
	}
	if stored.MaxAge != nil && *stored.MaxAge > 0 && *stored.MaxAge <= math.MaxInt64/int64(time.Second) {
		m.maxAge = time.Duration(*stored.MaxAge) * time.Second
	}
	if stored.TruncateBefore != nil && *stored.TruncateBefore > 0 {
		m.truncateBefore = *stored.TruncateBefore
	}
	return m
}

// streamMeta reads a stream's settings as of the log position `end`.
func (l *eventLog) streamMeta(stream string, end uint64) (streamMeta, error) {
	if _, ok := metastreamTarget(stream); ok {
		// Only the newest metadata counts, and clients read it from the front.
		return streamMeta{maxCount: 1}, nil
	}
	data, err := l.rawMeta(stream, end)
	if err != nil || data == nil {
		return streamMeta{}, err
	}
	return parseMeta(data), nil
}

// rawMeta is the newest metadata document of a stream, or nil.
func (l *eventLog) rawMeta(stream string, end uint64) ([]byte, error) {
	id, ok, err := l.streamID(metastreamOf(stream))
	if err != nil || !ok || id >= end {
		return nil, err
	}
	var data []byte
	err = l.walkStream(id, 0, tombstoneRevision, end, true, func(r record) (bool, error) {
		if string(r.eventType) == typeMetadata {
			data = append([]byte{}, r.data...)
		}
		return false, nil
	})
	return data, err
}

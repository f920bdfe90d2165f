// Package bucket puts files into an S3-compatible object store: whole or not at all,
// and over no other.
package bucket

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"

	"github.com/tradetrail/tradetrail/domain"
)

// Bucket is one place in an object store. Its methods may be called concurrently. What
// fails for a while is not tried again by them, but has domain.ClassTransient.
type Bucket struct {
	place       Place
	credentials *credentials.Credentials
	transport   *http.Transport
	client      *minio.Client
}

// askTime bounds every call but the sending of a file: a store that takes longer is away.
const askTime = time.Minute

// Open makes the client, and asks the store for nothing. The credentials are looked for
// when they are needed, in the environment (AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY,
// AWS_SESSION_TOKEN), then in the shared credentials file (AWS_SHARED_CREDENTIALS_FILE
// or ~/.aws/credentials, profile AWS_PROFILE or default). Close must be called.
func Open(p Place) (*Bucket, error) {
	transport, err := minio.DefaultTransport(p.Secure)
	if err != nil {
		return nil, fmt.Errorf("opening %s: %w", p, err)
	}
	b := &Bucket{place: p, transport: transport}
	b.credentials = credentials.NewChainCredentials([]credentials.Provider{&credentials.EnvAWS{}, &credentials.FileAWSCredentials{}})
	b.client, err = minio.New(p.Host, &minio.Options{Creds: b.credentials, Secure: p.Secure, Region: p.Region, Transport: transport, MaxRetries: 1})
	if err != nil {
		return nil, bad("%s: %v", p, err)
	}
	return b, nil
}

// Close ends the connections that nobody uses.
func (b *Bucket) Close() error {
	b.transport.CloseIdleConnections()
	return nil
}

// Ready tells whether the store answers, knows the bucket and takes the credentials.
func (b *Bucket) Ready(ctx context.Context) error {
	if err := b.keys(); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, askTime)
	defer cancel()
	exists, err := b.client.BucketExists(ctx, b.place.Bucket)
	if err != nil {
		return b.translate("asking for the bucket", err)
	}
	if !exists {
		return &domain.Error{Class: domain.ClassNotFound, Code: CodeNoBucket, Message: fmt.Sprintf("%s: there is no such bucket", b.place)}
	}
	return nil
}

// keys looks for credentials: the client would ask without, as nobody.
func (b *Bucket) keys() error {
	found, err := b.credentials.GetWithContext(b.client.CredContext())
	if err == nil && found.AccessKeyID != "" && found.SecretAccessKey != "" {
		return nil
	}
	return &domain.Error{Class: domain.ClassDenied, Code: CodeDenied, Message: fmt.Sprintf(
		"%s: there are no credentials: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or name a profile of the shared credentials file", b.place), Err: err}
}

// Has tells whether there is an object of a name.
func (b *Bucket) Has(ctx context.Context, name string) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, askTime)
	defer cancel()
	_, err := b.client.StatObject(ctx, b.place.Bucket, b.place.Prefix+name, minio.StatObjectOptions{})
	if err == nil {
		return true, nil
	}
	if minio.ToErrorResponse(err).Code == minio.NoSuchKey {
		return false, nil
	}
	return false, b.translate("looking for "+name, err)
}

// Put makes a file of at most 5 GiB an object, in one request that the store takes as a
// whole, together with its SHA-256 as metadata. Where there is one of that name the error
// is fs.ErrExist and it stays as it is: a store that knows no conditional writes
// (If-None-Match) may let the later of two writers at a time win.
func (b *Bucket) Put(ctx context.Context, name, media, path string) (err error) {
	file, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("putting %s into %s: %w", name, b.place, err)
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	sum := sha256.New()
	size, err := io.Copy(sum, file)
	if err == nil {
		_, err = file.Seek(0, io.SeekStart)
	}
	if err != nil {
		return fmt.Errorf("putting %s into %s: %w", name, b.place, err)
	}
	options := minio.PutObjectOptions{
		ContentType: media, UserMetadata: map[string]string{"Sha256": hex.EncodeToString(sum.Sum(nil))},
		SendContentMd5: true, DisableMultipart: true, // what arrives is what was sent, or nothing is
	}
	options.SetMatchETagExcept("*")
	_, err = b.client.PutObject(ctx, b.place.Bucket, b.place.Prefix+name, file, size, options)
	return b.translate("putting "+name, err)
}

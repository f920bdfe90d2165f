package bucket

import (
	"net/url"
	"strings"

	"github.com/minio/minio-go/v7/pkg/s3utils"

	"github.com/tradetrail/tradetrail/domain"
)

// Place says where a bucket is.
type Place struct {
	Bucket string
	Prefix string // of the names of objects: empty, or ends with a slash
	Host   string // HOST or HOST:PORT of the object store
	Secure bool   // over TLS
	Region string
}

// What a URL that names neither means.
const (
	defaultHost   = "s3.amazonaws.com"
	defaultRegion = "us-east-1"
)

// ParsePlace reads s3://BUCKET/PREFIX?endpoint=URL&region=NAME, where all but the
// bucket may be left out. Its errors don't repeat the text, which may hold what its
// author took for the place of credentials.
func ParsePlace(text string) (Place, error) {
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "s3" || u.Opaque != "" {
		return Place{}, bad("it is not a URL such as s3://bucket/prefix?endpoint=https://minio.example:9000&region=eu-central-1")
	}
	if u.User != nil {
		return Place{}, bad("credentials don't belong into the URL: they are taken from AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY or the shared credentials file")
	}
	p := Place{Bucket: u.Host, Host: defaultHost, Secure: true, Region: defaultRegion}
	if s3utils.CheckValidBucketNameStrict(p.Bucket) != nil {
		return Place{}, bad("%.80q is no name of a bucket: 3 to 63 lower-case letters, digits, dots and hyphens", p.Bucket)
	}
	if prefix := strings.Trim(u.Path, "/"); prefix != "" {
		p.Prefix = prefix + "/"
	}
	if s3utils.CheckValidObjectNamePrefix(p.Prefix) != nil || strings.Contains(p.Prefix, "//") {
		return Place{}, bad("%.80q is no prefix for names of objects", p.Prefix)
	}
	query, err := url.ParseQuery(u.RawQuery)
	if err != nil || u.Fragment != "" {
		return Place{}, bad("behind the prefix stand endpoint=URL and region=NAME, and nothing else")
	}
	for name, values := range query {
		switch {
		case len(values) != 1 || values[0] == "":
			return Place{}, bad("%.32q must have one value", name)
		case name == "endpoint":
			if err := p.endpoint(values[0]); err != nil {
				return Place{}, err
			}
		case name == "region":
			p.Region = values[0]
		default:
			return Place{}, bad("%.32q is none of its parameters, which are endpoint and region", name)
		}
	}
	return p, nil
}

func (p *Place) endpoint(text string) error {
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" || u.User != nil || strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.Fragment != "" {
		return bad("its endpoint is not http://HOST:PORT or https://HOST:PORT")
	}
	p.Host, p.Secure = u.Host, u.Scheme == "https"
	return nil
}

// String is the URL without its parameters, for errors and logs.
func (p Place) String() string { return "s3://" + p.Bucket + "/" + p.Prefix + " at " + p.Host }

func bad(format string, args ...any) *domain.Error {
	return domain.Rejectf(domain.CodeInvalid, "report-bucket", format, args...)
}

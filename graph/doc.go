// Package graph is the GraphQL API. The schema is schema.graphqls, the server in
// generated/ and the types in model/ are made from it by gqlgen; resolvers only
// translate: they read through the views and record through the Recorder.
package graph

//go:generate sh -c "cd .. && go tool gqlgen generate"
//go:generate sh -c "sed s/graphql.MarshalSliceConcurrently/marshalInOrder/ generated/exec.go >generated/exec.go.new && mv generated/exec.go.new generated/exec.go"

package agent

// MaxBodies is how many bodies are taken at once.
const MaxBodies = maxBodies

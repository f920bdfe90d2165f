package eventstore

// Translate is the translation of foreign errors.
var Translate = translate

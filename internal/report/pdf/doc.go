// Package pdf writes PDF files of any length in little memory: a page is
// compressed and written when the next one begins, and what is kept of it is its
// number. It knows text in three faces, rectangles and lines, which is all that a
// report needs.
//
// Text is stored so that it can be selected and copied exactly: each character has
// a code of its own, also where two look alike. Only the glyphs that were used are
// embedded. Equal calls make equal bytes.
package pdf

// Package jsonpb writes messages of Hubble's API as JSON: the text that encoding/json
// makes of them, which is protojson's with the schema's names and without its random
// spaces, with every character escaped that is not printable. How a type is written is
// worked out once, from the schema and from the generated struct; after that, writing a
// message takes no memory, and asks reflection of nothing but which of a oneof is set.
// What is rare or odd (a text that is no UTF-8, a map, an extension of a foreign type)
// is not done here, and left to protojson.
package jsonpb

// Reads length-delimited FlowMessages from stdin with goflow2's own schema, and prints each as a line of JSON; what that schema
// does not know is counted in bytes.
package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"io"
	"log"
	"os"

	flowmessage "github.com/netsampler/goflow2/v2/pb"
	"google.golang.org/protobuf/encoding/protodelim"
	"google.golang.org/protobuf/encoding/protojson"
)

func main() {
	in := bufio.NewReader(os.Stdin)
	out := json.NewEncoder(os.Stdout)
	options := protojson.MarshalOptions{UseProtoNames: true}
	for {
		var message flowmessage.FlowMessage
		if err := protodelim.UnmarshalFrom(in, &message); errors.Is(err, io.EOF) {
			return
		} else if err != nil {
			log.Fatal(err)
		}
		known, err := options.Marshal(&message)
		if err != nil {
			log.Fatal(err)
		}
		line := map[string]any{"message": json.RawMessage(known), "unknown_bytes": len(message.ProtoReflect().GetUnknown())}
		if err := out.Encode(line); err != nil {
			log.Fatal(err)
		}
	}
}

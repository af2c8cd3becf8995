module skyfall/goflow2_reader

go 1.24

require (
	github.com/netsampler/goflow2/v2 v2.2.6
	google.golang.org/protobuf v1.36.12
)

package aws

import (
	"bytes"
	"context"
	"encoding/xml"
	"io"

	"github.com/aws/smithy-go/middleware"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"apitoken.dev/operator/internal/provider"
	"apitoken.dev/operator/internal/provider/bounded"
)

// shaped checks that an answer of success is one to the action that was asked for:
// <ActionResponse>, and for actions with a result <ActionResult> with something in
// it (IAM API reference, "Making query requests"). The SDK itself takes an answer
// without XML, or with an empty result, for one in which everything is empty.
func shaped(stack *middleware.Stack) error {
	return stack.Deserialize.Add(middleware.DeserializeMiddlewareFunc("apitoken.dev/Shape", func(
		ctx context.Context, in middleware.DeserializeInput, next middleware.DeserializeHandler,
	) (middleware.DeserializeOutput, middleware.Metadata, error) {
		out, metadata, err := next.HandleDeserialize(ctx, in)
		resp, ok := out.RawResponse.(*smithyhttp.Response)
		if err != nil || !ok || resp.StatusCode < 200 || resp.StatusCode > 299 {
			return out, metadata, err
		}
		action := middleware.GetOperationName(ctx)
		if f := bounded.FaultOf(resp.Response); f != nil {
			return out, metadata, provider.Unreached(action, endpointField, f)
		}
		body, err := io.ReadAll(resp.Body)
		// It is closed once the SDK has decoded it: until then it counts as being decoded.
		resp.Body = struct {
			io.Reader
			io.Closer
		}{bytes.NewReader(body), resp.Body}
		if err != nil {
			return out, metadata, err
		}
		if !answers(body, action) {
			return out, metadata, nonsense(action, "with something else than its documentation describes; check "+endpointField)
		}
		return out, metadata, nil
	}), middleware.After)
}

// withoutResult are the actions of which only the response is documented.
var withoutResult = map[string]bool{
	"PutUserPolicy": true, "DeleteUserPolicy": true, "DeleteAccessKey": true, "DeleteUser": true,
}

// answers reports whether a body begins as an answer to an action.
func answers(body []byte, action string) bool {
	want := []string{action + "Response", action + "Result", ""} // in the result, any element
	if withoutResult[action] {
		want = want[:1]
	}
	for d := xml.NewDecoder(bytes.NewReader(body)); len(want) > 0; {
		token, err := d.Token()
		if err != nil {
			return false
		}
		switch t := token.(type) {
		case xml.StartElement:
			if want[0] != "" && t.Name.Local != want[0] {
				if len(want) == 3 {
					return false
				}
				if d.Skip() != nil { // such as ResponseMetadata
					return false
				}
				continue
			}
			want = want[1:]
		case xml.EndElement:
			return false
		}
	}
	return true
}

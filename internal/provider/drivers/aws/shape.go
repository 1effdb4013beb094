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

// shaped checks that a successful response belongs to the requested action: it has
// <ActionResponse>, and for actions with a result an <ActionResult> that is not empty
// (IAM API reference, "Making query requests"). The SDK accepts a response without XML,
// or with an empty result, and returns empty fields.
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
		// The original body is closed when the SDK has decoded the copy: until then it counts as being decoded.
		resp.Body = struct {
			io.Reader
			io.Closer
		}{bytes.NewReader(body), resp.Body}
		if err != nil {
			return out, metadata, err
		}
		if !answers(body, action) {
			return out, metadata, nonsense(action, "with a response that its documentation does not describe; check "+endpointField)
		}
		return out, metadata, nil
	}), middleware.After)
}

// withoutResult are the actions whose response has no result element.
var withoutResult = map[string]bool{
	"PutUserPolicy": true, "DeleteUserPolicy": true, "DeleteAccessKey": true, "DeleteUser": true,
}

// answers reports whether a body begins like a response to an action.
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

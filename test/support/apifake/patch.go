package apifake

import (
	"encoding/json"
	"fmt"

	jsonpatch "github.com/evanphx/json-patch/v5"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// mergePatch is a merge patch in progress.
type mergePatch struct {
	kind   *kind
	key    Key
	data   []byte
	status bool
	dryRun bool
}

func newMergePatch(obj client.Object, patch client.Patch) (mergePatch, error) {
	k, _, err := kindOf(obj)
	if err != nil {
		return mergePatch{}, err
	}
	data, err := patch.Data(obj)
	if err != nil {
		return mergePatch{}, err
	}
	if patch.Type() != types.MergePatchType {
		return mergePatch{}, fmt.Errorf("apifake: patches of type %s are not supported, only merge patches", patch.Type())
	}
	return mergePatch{kind: k, key: k.key(obj.GetNamespace(), obj.GetName()), data: data}, nil
}

// patch merges a patch into the stored object, and then continues as an update.
func (s *Server) patch(p mergePatch) (client.Object, error) {
	old := s.objects[p.key]
	if old == nil {
		return nil, apierrors.NewNotFound(p.kind.resource, p.key.Name)
	}
	merged, err := p.merge(old)
	if err != nil {
		return nil, apierrors.NewBadRequest(err.Error())
	}
	if merged.GetName() != p.key.Name || merged.GetNamespace() != p.key.Namespace {
		return nil, apierrors.NewBadRequest(fmt.Sprintf(
			"the name of the object (%s/%s) does not match the name on the URL (%s)", merged.GetNamespace(), merged.GetName(), p.key))
	}
	return s.update(change{kind: p.kind, obj: p.kind.prepare(merged, p.status), status: p.status, patch: true, dryRun: p.dryRun})
}

// merge returns the patched object. A patch of metadata only, which is the most common one,
// does not encode the whole object as JSON.
func (p mergePatch) merge(old client.Object) (client.Object, error) {
	var patch map[string]json.RawMessage
	if err := json.Unmarshal(p.data, &patch); err != nil {
		return nil, err
	}
	if data, ok := patch["metadata"]; ok && len(patch) == 1 && string(data) != "null" {
		merged := p.kind.shallow(old)
		meta := metaOf(merged)
		*meta = metav1.ObjectMeta{}
		return merged, mergeJSON(metaOf(old), data, meta)
	}
	merged := p.kind.blank()
	return merged, mergeJSON(old, p.data, merged)
}

func mergeJSON(old any, patch []byte, out any) error {
	before, err := json.Marshal(old)
	if err != nil {
		return err
	}
	after, err := jsonpatch.MergePatch(before, patch)
	if err != nil {
		return err
	}
	return json.Unmarshal(after, out)
}

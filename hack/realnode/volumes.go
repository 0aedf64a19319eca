package realnode

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	core "k8s.io/api/core/v1"
	storage "k8s.io/api/storage/v1"
	"k8s.io/apimachinery/pkg/api/errors"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// StorageClass is the default class. Its volumes are folders of this machine, which
// all nodes can mount, as they could one of a file server.
const StorageClass = "local"

// useLocalVolumes replaces the control plane's class of volumes that do not exist.
func (c *Cluster) useLocalVolumes(ctx context.Context) error {
	classes := c.Client.StorageV1().StorageClasses()
	list, err := classes.List(ctx, meta.ListOptions{})
	if err != nil {
		return fmt.Errorf("listing storage classes: %w", err)
	}
	for _, old := range list.Items {
		if err := classes.Delete(ctx, old.Name, meta.DeleteOptions{}); err != nil {
			return fmt.Errorf("deleting a storage class: %w", err)
		}
	}
	_, err = classes.Create(ctx, &storage.StorageClass{
		ObjectMeta:  meta.ObjectMeta{Name: StorageClass, Annotations: map[string]string{"storageclass.kubernetes.io/is-default-class": "true"}},
		Provisioner: "camfleet.dev/" + StorageClass, // which is provision
	}, meta.CreateOptions{})
	if err != nil {
		return fmt.Errorf("creating the storage class: %w", err)
	}
	return nil
}

// Volume is the folder of a claim's volume.
func (c *Cluster) Volume(namespace, claim string) string {
	return filepath.Join(c.dir, "volumes", namespace+"-"+claim)
}

// provision makes a volume for each claim, until ctx ends.
func (c *Cluster) provision(ctx context.Context) {
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for {
		claims, err := c.Client.CoreV1().PersistentVolumeClaims("").List(ctx, meta.ListOptions{ResourceVersion: "0"})
		if err == nil {
			for _, claim := range claims.Items {
				if claim.Spec.VolumeName == "" {
					err = c.addVolume(ctx, &claim)
				}
			}
		}
		if err != nil && ctx.Err() == nil {
			c.log("making volumes: %v", err)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

func (c *Cluster) addVolume(ctx context.Context, claim *core.PersistentVolumeClaim) error {
	if class := claim.Spec.StorageClassName; class == nil || *class != StorageClass {
		return nil
	}
	folder := c.Volume(claim.Namespace, claim.Name)
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return fmt.Errorf("making a volume's folder: %w", err)
	}
	var nodes []string
	for _, n := range c.Nodes {
		nodes = append(nodes, n.Name)
	}
	_, err := c.Client.CoreV1().PersistentVolumes().Create(ctx, &core.PersistentVolume{
		ObjectMeta: meta.ObjectMeta{Name: claim.Namespace + "-" + claim.Name},
		Spec: core.PersistentVolumeSpec{
			Capacity: claim.Spec.Resources.Requests, AccessModes: claim.Spec.AccessModes, StorageClassName: StorageClass,
			PersistentVolumeReclaimPolicy: core.PersistentVolumeReclaimRetain,
			ClaimRef:                      &core.ObjectReference{Namespace: claim.Namespace, Name: claim.Name, UID: claim.UID},
			// "local" has its group set by kubelet (fsGroup), as network volumes have; hostPath has not.
			PersistentVolumeSource: core.PersistentVolumeSource{Local: &core.LocalVolumeSource{Path: folder}},
			NodeAffinity: &core.VolumeNodeAffinity{Required: &core.NodeSelector{NodeSelectorTerms: []core.NodeSelectorTerm{{
				MatchExpressions: []core.NodeSelectorRequirement{{Key: core.LabelHostname, Operator: core.NodeSelectorOpIn, Values: nodes}},
			}}}},
		},
	}, meta.CreateOptions{})
	if err != nil && !errors.IsAlreadyExists(err) {
		return fmt.Errorf("creating a volume: %w", err)
	}
	return nil
}

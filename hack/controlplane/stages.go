package main

import (
	_ "embed"
	"strings"

	nodefast "sigs.k8s.io/kwok/kustomize/stage/node/fast"
	nodeheartbeat "sigs.k8s.io/kwok/kustomize/stage/node/heartbeat-with-lease"
	podfast "sigs.k8s.io/kwok/kustomize/stage/pod/fast"
)

//go:embed volume.yaml
var volumeProvision string

// stages returns what kwok does to nodes, Pods and claims: kwok's own objects,
// from the pinned module, and a provisioner of volumes that hold nothing.
func stages() string {
	return strings.Join([]string{
		nodefast.DefaultNodeInit, nodeheartbeat.DefaultNodeHeartbeatWithLease,
		podfast.DefaultPodReady, podfast.DefaultPodComplete, podfast.DefaultPodDelete,
		volumeProvision,
	}, "\n---\n")
}

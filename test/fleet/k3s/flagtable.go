package main

import "strings"

// flagSpec describes one flag of "k3s server" or "k3s agent".
type flagSpec struct {
	name  string
	short string
	kind  byte   // 's' string, 'b' boolean, 'l' list, 'i' integer
	env   string // the environment variable that also sets it
	use   string // "sa": server and agent, "s": server only, "a": agent only
}

// flagTable is the flag list of a current k3s, hidden and deprecated ones
// included. Each line: name[,short] kind env-or-dash where.
const flagTable = `
config,c s K3S_CONFIG_FILE sa
debug b K3S_DEBUG sa
v i - sa
vmodule s - sa
log,l s - sa
alsologtostderr b - sa
bind-address s - sa
https-listen-port i - s
supervisor-port i - s
apiserver-port i - s
apiserver-bind-address s - s
advertise-address s - s
advertise-port i - s
tls-san l - s
tls-san-security b - s
data-dir,d s K3S_DATA_DIR sa
cluster-cidr l - s
service-cidr l - s
service-node-port-range s - s
cluster-dns l - s
cluster-domain s - s
flannel-backend s - s
flannel-ipv6-masq b - s
flannel-external-ip b - s
egress-selector-mode s - s
servicelb-namespace s - s
write-kubeconfig,o s K3S_KUBECONFIG_OUTPUT s
write-kubeconfig-mode s K3S_KUBECONFIG_MODE s
write-kubeconfig-group s K3S_KUBECONFIG_GROUP s
helm-job-image s - s
token,t s K3S_TOKEN sa
token-file s K3S_TOKEN_FILE sa
agent-token s K3S_AGENT_TOKEN s
agent-token-file s K3S_AGENT_TOKEN_FILE s
server,s s K3S_URL sa
cluster-init b K3S_CLUSTER_INIT s
cluster-reset b K3S_CLUSTER_RESET s
cluster-reset-restore-path s - s
kube-apiserver-arg l - s
etcd-arg l - s
kube-controller-manager-arg l - s
kube-scheduler-arg l - s
kube-cloud-controller-manager-arg l - s
kube-controller-arg l - s
kube-cloud-controller-arg l - s
datastore-endpoint s K3S_DATASTORE_ENDPOINT s
datastore-cafile s K3S_DATASTORE_CAFILE s
datastore-certfile s K3S_DATASTORE_CERTFILE s
datastore-keyfile s K3S_DATASTORE_KEYFILE s
kine-tls b - s
etcd-expose-metrics b - s
etcd-disable-snapshots b - s
etcd-snapshot-name s - s
etcd-snapshot-schedule-cron s - s
etcd-snapshot-reconcile-interval s - s
etcd-snapshot-retention i - s
etcd-snapshot-dir s - s
etcd-snapshot-compress b - s
etcd-s3 b - s
etcd-s3-endpoint s - s
etcd-s3-endpoint-ca s - s
etcd-s3-skip-ssl-verify b - s
etcd-s3-access-key s AWS_ACCESS_KEY_ID s
etcd-s3-secret-key s AWS_SECRET_ACCESS_KEY s
etcd-s3-session-token s AWS_SESSION_TOKEN s
etcd-s3-bucket s - s
etcd-s3-bucket-lookup-type s - s
etcd-s3-region s - s
etcd-s3-folder s - s
etcd-s3-proxy s - s
etcd-s3-config-secret s - s
etcd-s3-insecure b - s
etcd-s3-timeout s - s
etcd-s3-retention i - s
default-local-storage-path s - s
disable l - s
disable-scheduler b - s
disable-cloud-controller b - s
disable-kube-proxy b - s
disable-network-policy b - s
disable-helm-controller b - s
disable-apiserver b - s
disable-controller-manager b - s
disable-etcd b - s
disable-agent b - s
embedded-registry b - s
supervisor-metrics b - s
node-name s K3S_NODE_NAME sa
with-node-id b - sa
node-label l - sa
node-taint l - sa
image-credential-provider-bin-dir s - sa
image-credential-provider-config s - sa
docker b - sa
container-runtime-endpoint s - sa
default-runtime s - sa
image-service-endpoint s - sa
disable-default-registry-endpoint b - sa
nonroot-devices b - sa
pause-image s - sa
snapshotter s - sa
private-registry s - sa
system-default-registry s K3S_SYSTEM_DEFAULT_REGISTRY s
airgap-extra-registry l - sa
node-ip,i l - sa
node-external-ip l - sa
node-internal-dns l - sa
node-external-dns l - sa
resolv-conf s K3S_RESOLV_CONF sa
flannel-iface s - sa
flannel-conf s - sa
flannel-cni-conf s - sa
vpn-auth s K3S_VPN_AUTH sa
vpn-auth-file s K3S_VPN_AUTH_FILE sa
kubelet-arg l - sa
kube-proxy-arg l - sa
protect-kernel-defaults b - sa
secrets-encryption b - s
secrets-encryption-provider s - s
enable-pprof b - sa
rootless b - sa
prefer-bundled-bin b - sa
selinux b K3S_SELINUX sa
lb-server-port i K3S_LB_SERVER_PORT sa
disable-apiserver-lb b - a
disable-selinux b - a
no-flannel b - a
cluster-secret s K3S_CLUSTER_SECRET a
`

// flagsFor lists the flags of "server" or "agent", by every name they have.
func flagsFor(command string) map[string]flagSpec {
	specs := map[string]flagSpec{}
	for _, line := range strings.Split(strings.TrimSpace(flagTable), "\n") {
		f := strings.Fields(line)
		name, short, _ := strings.Cut(f[0], ",")
		spec := flagSpec{name: name, short: short, kind: f[1][0], use: f[3]}
		if f[2] != "-" {
			spec.env = f[2]
		}
		if !strings.Contains(spec.use, command[:1]) {
			continue
		}
		specs[name] = spec
		if short != "" {
			specs[short] = spec
		}
	}
	return specs
}

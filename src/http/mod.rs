//! HTTP transport over TLS; knows nothing of Kubernetes or of kubeconfig.

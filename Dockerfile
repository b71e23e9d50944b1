# After `make static`: docker build --build-arg BINARY=target/<triple>/release/kubectl-kubelet_logs .
FROM scratch
ARG BINARY
COPY ${BINARY} /kubectl-kubelet_logs
ENTRYPOINT ["/kubectl-kubelet_logs"]

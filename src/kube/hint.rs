//! What to do about an answer that refuses: the permission, the kubelet's setting, the next command.

use super::status::Refusal;

/// The remedy for a refusal, where one is known.
pub(super) fn for_refusal(refusal: &Refusal) -> Option<String> {
    let words = refusal.words.as_str();
    match refusal.status {
        401 => Some(
            "the server does not know these credentials: the token or certificate may have expired, or belong to another \
             cluster; log in again, and check the context"
                .into(),
        ),
        403 => forbidden(words),
        404 if refusal.about == "nodes" => Some("kubectl get nodes lists the nodes of this cluster".into()),
        404 if refusal.about == "pods" => Some("kubectl get pods -A lists the pods of this cluster".into()),
        405 if words.contains("logs endpoint is disabled") => Some(
            "this node's kubelet does not serve its logs; its configuration can (then restart the kubelet):\n\
             apiVersion: kubelet.config.k8s.io/v1beta1\n\
             kind: KubeletConfiguration\n\
             enableSystemLogHandler: true\n\
             enableSystemLogQuery: true"
                .into(),
        ),
        429 | 500..=599 if refusal.retry_after.is_some() => {
            Some(format!("the server asks to come back in {} s", refusal.retry_after.unwrap_or_default()))
        }
        429 => Some("the API server is busy and holds requests back; try again later, or ask fewer nodes at once".into()),
        500 if words.contains("no preferred addresses found") => {
            Some("the node has no address the API server can use: kubectl get nodes -o wide shows which it has".into())
        }
        _ if words.contains("no such host") => {
            Some("the API server can't resolve the node's host name; the node object's addresses may be wrong".into())
        }
        400 if words.contains("address not allowed") => {
            Some("the API server refuses to connect to loopback and link-local addresses; check the node's addresses".into())
        }
        400 if words.contains("HTTP request to an HTTPS server") => {
            Some("the server speaks TLS on this port: write https:// in front of its address".into())
        }
        503 => unreachable(words),
        _ => None,
    }
}

/// Why the API server could not reach the kubelet, from the words of its Go libraries.
fn unreachable(words: &str) -> Option<String> {
    let (_, why) = words.split_once("error trying to reach service")?;
    let says = |part| why.contains(part);
    let hint = if says("x509:") || says("failed to verify certificate") {
        "the API server does not trust the kubelet's certificate: look for pending requests (kubectl get csr), and at the \
         API server's --kubelet-certificate-authority"
    } else if says("connection refused") {
        "the kubelet on this node is not running, or listens elsewhere: systemctl status kubelet on the node; kubectl \
         describe node says since when"
    } else if says("timeout") || says("deadline exceeded") || says("no route to host") || says("unreachable") {
        "the node is down, hangs, or is cut off from the API server (firewall, routes, tunnel): kubectl describe node says \
         since when"
    } else if says("No agent available") {
        "the tunnel to the nodes (konnectivity) has no agent: look at the konnectivity-agent pods"
    } else if says("EOF") || says("connection reset") {
        "the kubelet dropped the request: it is restarting, or its handler crashed"
    } else {
        return None;
    };
    Some(hint.into())
}

/// The permission that is missing.
fn forbidden(words: &str) -> Option<String> {
    let user = between(words, "User \"", "\"").or_else(|| between(words, "(user=", ","));
    if user == Some("system:anonymous") {
        return Some(
            "the server saw no credentials, or none it accepts: check this user's token, certificate or plugin \
             (credentials are sent over https only)"
                .into(),
        );
    }
    let (verb, resource, group) = if let Some(verb) = between(words, "cannot ", " resource \"") {
        (verb, between(words, " resource \"", "\"")?, between(words, "in API group \"", "\"").unwrap_or_default())
    } else {
        // A kubelet's own refusal: (user=…, verb=get, resource=nodes, subresource(s)=[log]), before 1.33 subresource=log.
        let verb = between(words, "verb=", ",")?;
        let subresource = between(words, "subresource(s)=[", "]").or_else(|| between(words, "subresource=", ")"))?;
        return grant(verb, &format!("nodes/{}", subresource.split(' ').next()?), "", user);
    };
    grant(verb, resource, group, user)
}

/// A role that grants this, to paste.
fn grant(verb: &str, resource: &str, group: &str, user: Option<&str>) -> Option<String> {
    // The words come from a server; what is to be pasted may hold nothing but names.
    let is_name = |text: &str| text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._/:@".contains(&b));
    if verb.is_empty() || resource.is_empty() || ![verb, resource, group].into_iter().all(is_name) {
        return None;
    }
    let to = match user.filter(|user| !user.is_empty() && is_name(user)) {
        None => "--user=NAME".to_owned(),
        Some(user) => match user.strip_prefix("system:serviceaccount:") {
            Some(account) => format!("--serviceaccount={account}"),
            None => format!("--user={user}"),
        },
    };
    // A role for each permission: what is pasted later takes nothing away.
    let name = format!("kubelet-logs-{verb}-{}", resource.replace(['/', '_', ':', '@'], "-"));
    let mut hint = format!(
        "the verb {verb} on {resource} is missing; an administrator can grant it with\n\
         apiVersion: rbac.authorization.k8s.io/v1\n\
         kind: ClusterRole\n\
         metadata: {{name: {name}}}\n\
         rules:\n\
         - {{apiGroups: [\"{group}\"], resources: [\"{resource}\"], verbs: [\"{verb}\"]}}\n\
         and\n\
         kubectl create clusterrolebinding {name} --clusterrole={name} {to}"
    );
    if resource == "nodes/proxy" {
        hint.push_str(
            "\ncareful: get on nodes/proxy opens all of the kubelet's API, with it running commands in any pod of the node",
        );
    }
    Some(hint)
}

fn between<'t>(text: &'t str, before: &str, after: &str) -> Option<&'t str> {
    let (_, rest) = text.split_once(before)?;
    rest.split_once(after).map(|(found, _)| found)
}

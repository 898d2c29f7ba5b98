use super::error::PatternError;
use super::tree::{GROUP, Kind, Node};

/// A pattern as what stands before the namespace, the namespace, and what follows it.
#[derive(Debug)]
pub(super) struct Parts {
    pub(super) before: Vec<Node>,
    pub(super) namespace: Node,
    pub(super) after: Vec<Node>,
}

impl Parts {
    pub(super) fn split(pattern: &str, root: Node) -> Result<Self, PatternError> {
        let Some(group) = root.find(&is_namespace) else {
            return Err(PatternError::whole(format!(
                "the pattern has no group called `{GROUP}`; write `(?P<{GROUP}>…)` around the part that names it"
            )));
        };
        let group_span = group.span.clone();
        let mut before = flatten(root);
        let Some(at) = before.iter().position(|node| is_namespace(&node.kind)) else {
            let reason = format!(
                "the group `{GROUP}` must not stand inside an alternative; put the alternatives inside the group, or \
                 before or after it"
            );
            return Err(PatternError::at(pattern, &group_span, &reason));
        };
        let after = before.split_off(at + 1);
        let namespace = match before.pop().map(|group| group.kind) {
            Some(Kind::Namespace(inner)) if inner.length().1 != Some(0) => *inner,
            _ => {
                let reason = format!(
                    "the group `{GROUP}` can only be empty; put what it should match into it"
                );
                return Err(PatternError::at(pattern, &group_span, &reason));
            }
        };
        let parts = Self {
            before,
            namespace,
            after,
        };
        parts.check_anchors(pattern)?;
        Ok(parts)
    }

    fn check_anchors(&self, pattern: &str) -> Result<(), PatternError> {
        let refuse = |node: &Node, reason| Err(PatternError::at(pattern, &node.span, reason));
        if let Some(node) = self.namespace.find(&is_anchor) {
            return refuse(
                node,
                "an anchor must not stand inside the group `namespace`; put it before or after the group",
            );
        }
        if let Some(end) = self
            .before
            .iter()
            .find_map(|node| node.find(&|kind| matches!(kind, Kind::End)))
        {
            return refuse(
                end,
                "the end of the name cannot come before the group `namespace`; take it out",
            );
        }
        if let Some(start) = self
            .after
            .iter()
            .find_map(|node| node.find(&|kind| matches!(kind, Kind::Start)))
        {
            return refuse(
                start,
                "the start of the name cannot come after the group `namespace`; take it out",
            );
        }
        Ok(())
    }
}

fn is_namespace(kind: &Kind) -> bool {
    matches!(kind, Kind::Namespace(_))
}

fn is_anchor(kind: &Kind) -> bool {
    matches!(kind, Kind::Start | Kind::End)
}

/// The parts of a sequence, with the sequences in it dissolved: a group changes nothing there.
pub(super) fn flatten(node: Node) -> Vec<Node> {
    match node.kind {
        Kind::Concat(nodes) => nodes.into_iter().flat_map(flatten).collect(),
        Kind::Empty => Vec::new(),
        _ => vec![node],
    }
}

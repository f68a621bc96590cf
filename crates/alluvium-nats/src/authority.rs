//! Whether what a server of a cluster tells of a stream is what the stream holds.
//!
//! The state of a stream that lies on several nodes is told by its leader. But while there is none, any node tells what it has
//! itself; and a leader that was cut off, or stopped for a while, tells what it had until it finds out that another one
//! has taken its place. Both can leave out what was acknowledged, and look like a log that has lost its tail.
//!
//! So an answer counts if it comes from a leader that has just heard from so many others that no other leader can have been
//! elected meanwhile: an election begins after 4 s of silence.
//!
//! A consumer is on one node of the stream, and not always on the leader. It knows of no message that its node has not fetched
//! yet: of those it says that nothing is pending.

use std::time::Duration;

use async_nats::jetstream::stream::{ClusterInfo, Info, PeerInfo};

/// Whoever was heard from so recently has not elected anybody else.
const FRESH: Duration = Duration::from_secs(3);

/// Why a server's answer need not be what the stream holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Doubt {
    /// Any of its nodes may have answered.
    #[error("the stream has no leader just now")]
    NoLeader,
    /// The leader may have been replaced.
    #[error("the stream's leader does not hear from most of its nodes just now")]
    CutOff,
}

/// Why this need not be what the stream holds; nothing if it is.
pub(crate) fn doubt(info: &Info) -> Option<Doubt> {
    // A server that is no cluster has nobody to disagree with.
    let cluster = info.cluster.as_ref()?;
    if leader(cluster).is_none() {
        return Some(Doubt::NoLeader);
    }
    // With the leader itself, they have to be more than half.
    let heard = 1 + cluster.replicas.iter().filter(|peer| is_fresh(peer)).count();
    let nodes = 1 + cluster.replicas.len();
    (heard * 2 <= nodes).then_some(Doubt::CutOff)
}

/// Whether a stream has other nodes than the one that answered.
pub(crate) fn is_replicated(info: &Info) -> bool {
    info.cluster
        .as_ref()
        .is_some_and(|cluster| !cluster.replicas.is_empty())
}

/// Whether a consumer is where a stream's state was told by, so that it knows of all that was told.
pub(crate) fn is_with_leader(info: &Info, consumer: Option<&ClusterInfo>) -> bool {
    // A stream on one node has its consumers there, too; a server that is no cluster names itself for the stream alone.
    let Some(cluster) = info.cluster.as_ref().filter(|_| is_replicated(info)) else {
        return true;
    };
    let at = leader(cluster);
    at.is_some() && consumer.and_then(leader) == at
}

fn leader(cluster: &ClusterInfo) -> Option<&str> {
    cluster.leader.as_deref().filter(|leader| !leader.is_empty())
}

/// A new leader that has not heard from a node yet says 0, and that the node is not current.
fn is_fresh(peer: &PeerInfo) -> bool {
    peer.active <= FRESH && (peer.current || !peer.active.is_zero())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn info(cluster: Value) -> Info {
        let mut info = json!({
            "config": { "name": "S", "retention": "limits", "storage": "file", "discard": "old",
                "max_consumers": -1, "max_msgs": -1, "max_bytes": -1, "max_age": 0, "num_replicas": 3 },
            "created": "2024-01-01T00:00:00Z",
            "ts": "2024-01-01T00:00:00Z",
            "state": { "messages": 0, "bytes": 0, "first_seq": 0, "first_ts": "0001-01-01T00:00:00Z",
                "last_seq": 0, "last_ts": "0001-01-01T00:00:00Z", "consumer_count": 0 },
        });
        if !cluster.is_null() {
            info["cluster"] = cluster;
        }
        serde_json::from_value(info).unwrap()
    }

    fn peer(name: &str, current: bool, active: Duration) -> Value {
        json!({ "name": name, "current": current, "active": u64::try_from(active.as_nanos()).unwrap() })
    }

    fn with_peers(peers: &[Value]) -> Info {
        info(json!({ "name": "C", "leader": "a", "replicas": peers }))
    }

    #[test]
    fn a_server_alone_is_believed() {
        assert_eq!(doubt(&info(Value::Null)), None);
        assert_eq!(doubt(&with_peers(&[])), None);
        assert!(!is_replicated(&with_peers(&[])));
    }

    #[test]
    fn a_node_without_a_leader_is_not() {
        for cluster in [json!({ "name": "C" }), json!({ "name": "C", "leader": "" })] {
            assert_eq!(doubt(&info(cluster)), Some(Doubt::NoLeader));
        }
    }

    #[test]
    fn a_leader_is_believed_that_most_others_listen_to() {
        let just_now = peer("b", true, Duration::from_millis(900));
        let behind = peer("b", false, Duration::from_millis(1));
        let gone = peer("c", true, Duration::from_secs(4));
        let never_heard = peer("c", false, Duration::ZERO);
        for (peers, doubted) in [
            (vec![just_now.clone(), gone.clone()], false),
            (vec![behind.clone(), gone.clone()], false),
            (vec![gone.clone(), gone.clone()], true),
            (vec![never_heard.clone(), gone.clone()], true),
            (vec![just_now.clone(), never_heard.clone()], false),
            // Of an even number more than half.
            (vec![just_now.clone(), gone.clone(), gone.clone()], true),
            (vec![just_now, behind, gone], false),
            (vec![never_heard], true),
        ] {
            let expected = doubted.then_some(Doubt::CutOff);
            assert_eq!(doubt(&with_peers(&peers)), expected, "{peers:?}");
        }
    }

    #[test]
    fn a_consumer_is_with_the_leader_or_may_know_less() {
        let clustered = with_peers(&[peer("b", true, Duration::ZERO)]);
        let at = |name: &str| serde_json::from_value(json!({ "name": "C", "leader": name })).ok();
        assert!(is_with_leader(&clustered, at("a").as_ref()));
        assert!(!is_with_leader(&clustered, at("b").as_ref()));
        assert!(!is_with_leader(&clustered, at("").as_ref()));
        assert!(!is_with_leader(&clustered, None));
        assert!(is_with_leader(&info(Value::Null), None));
        assert!(is_with_leader(&with_peers(&[]), None));
    }
}

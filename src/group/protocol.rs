//! What consumers say of themselves (`ConsumerProtocolSubscription`), as far as the coordinator reads it: the topics.

use std::collections::BTreeSet;
use std::sync::Arc;

use bytes::Buf;

use super::classic::Group;

/// The protocol type of consumers.
pub(super) const CONSUMER: &str = "consumer";

/// The topics of one subscription; `None` if it is not one. The first field of every version is the list of topics.
fn topics(mut metadata: &[u8]) -> Option<BTreeSet<Arc<str>>> {
    let _version = metadata.try_get_i16().ok()?;
    let count = metadata.try_get_i32().ok()?;
    let mut topics = BTreeSet::new();
    for _ in 0..count {
        let len = usize::try_from(metadata.try_get_i16().ok()?).ok()?;
        let name = metadata.get(..len)?;
        topics.insert(std::str::from_utf8(name).ok()?.into());
        metadata.advance(len);
    }
    Some(topics)
}

impl Group {
    /// The topics that some member subscribes to; `None` if these are no consumers or their words are not understood.
    pub fn subscribed(&self) -> Option<BTreeSet<Arc<str>>> {
        if self.protocol_type.as_deref() != Some(CONSUMER) {
            return None;
        }
        let mut all = BTreeSet::new();
        for member in self.members.values() {
            let protocol = self.protocol.as_deref().or_else(|| member.protocols.first().map(|(name, _)| &**name))?;
            all.extend(topics(member.metadata(protocol)?)?);
        }
        Some(all)
    }
}

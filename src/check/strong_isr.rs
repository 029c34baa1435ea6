//! SISR: below the high watermark of anyone who presumes leadership, all running members of the controller's ISR
//! agree (the strong form of KIP-966's invariant).
//!
//! No stricter: a replica that a storage fault hit is passed over until its new incarnation has registered; a
//! presumed leader's own word counts only up to what a legitimate leader exposed and no election has given up since; a
//! member may lack what Kafka lets it lack (`ground::restart`).

use super::ground::Ground;
use super::verdict::Findings;

pub(super) fn check(ground: &Ground, out: &mut Findings) {
    for (tp, p) in ground.partitions() {
        let Some(facts) = p.latest() else { continue };
        let rules = ground.promises().rules(&tp.topic);
        for (leader, presumed) in p.replicas.iter().filter(|(_, r)| r.up && r.leading.is_some()) {
            let bound = presumed.trusted_high_watermark().min(p.true_hw);
            for node in &facts.isr {
                let Some(member) = p.replicas.get(node).filter(|r| r.up && !r.excused) else { continue };
                if member.agreed < bound && !p.may_lack(*node, member, &rules) {
                    out.report(
                        "SISR",
                        None,
                        format!(
                            "{tp}: broker {leader} presumes to lead with high watermark {bound}, but ISR member {node} agrees \
                             only below {}",
                            member.agreed
                        ),
                    );
                }
            }
        }
    }
}

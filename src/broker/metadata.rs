//! A broker's metadata cache: the image as this node has replayed it.

use std::sync::Arc;

use parking_lot::RwLock;
use tokio::sync::Notify;

use crate::base::Offset;
use crate::controller::image::Image;

/// The latest image, shared by all handlers. A reader keeps the image that it took.
#[derive(Debug, Default)]
pub struct MetadataCache {
    image: RwLock<Arc<Image>>,
    advanced: Notify,
}

impl MetadataCache {
    /// The image as of now.
    #[must_use]
    pub fn image(&self) -> Arc<Image> {
        self.image.read().clone()
    }
    /// Everything below has been applied.
    #[must_use]
    pub fn applied(&self) -> Offset {
        self.image.read().next()
    }
    /// Publishes a newer image.
    pub fn publish(&self, image: Arc<Image>) {
        *self.image.write() = image;
        self.advanced.notify_waiters();
    }
    /// Waits until `ready` holds of the image.
    pub async fn wait_until(&self, ready: impl Fn(&Image) -> bool) {
        loop {
            let advanced = self.advanced.notified();
            if ready(&self.image()) {
                return;
            }
            advanced.await;
        }
    }
}

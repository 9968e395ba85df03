//! The plan on the wire: our node, and Ballista's own for all others.

use std::sync::Arc;

use ballista_core::serde::BallistaPhysicalExtensionCodec;
use datafusion::{
    common::internal_err,
    error::{DataFusionError, Result},
    execution::TaskContext,
    physical_plan::ExecutionPlan,
};
use datafusion_proto::physical_plan::{PhysicalExtensionCodec, PhysicalProtoConverterExtension};

use crate::plan::ConvertExec;

/// First bytes of our node. Overriding a codec replaces Ballista's, so this wraps it.
const MAGIC: &[u8] = b"loblab-convert-1\0";

/// Codec for client, scheduler and executor alike.
#[derive(Debug, Default)]
pub(crate) struct Codec {
    inner: BallistaPhysicalExtensionCodec,
}

impl PhysicalExtensionCodec for Codec {
    fn try_decode(
        &self,
        buf: &[u8],
        inputs: &[Arc<dyn ExecutionPlan>],
        context: &TaskContext,
        converter: &dyn PhysicalProtoConverterExtension,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let Some(job) = buf.strip_prefix(MAGIC) else {
            return self.inner.try_decode(buf, inputs, context, converter);
        };
        let [input] = inputs else {
            return internal_err!("a conversion with {} inputs, expected 1", inputs.len());
        };
        let job = serde_json::from_slice(job)
            .map_err(|error| DataFusionError::External(Box::new(error)))?;
        Ok(Arc::new(ConvertExec::new(Arc::clone(input), Arc::new(job))))
    }

    fn try_encode(
        &self,
        node: Arc<dyn ExecutionPlan>,
        buf: &mut Vec<u8>,
        converter: &dyn PhysicalProtoConverterExtension,
    ) -> Result<()> {
        let Some(convert) = node.downcast_ref::<ConvertExec>() else {
            return self.inner.try_encode(node, buf, converter);
        };
        buf.extend_from_slice(MAGIC);
        serde_json::to_writer(buf, convert.job())
            .map_err(|error| DataFusionError::External(Box::new(error)))
    }
}

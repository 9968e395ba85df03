//! The conversion as an execution plan.
//!
//! It is an interior node over a memory source of paths, one partition a group of files. A leaf
//! would be wrong: Ballista cuts the partitions of a task out of the sources that it knows, and
//! runs a leaf that it does not know whole, in every task.

use std::{any::type_name, fmt, sync::Arc};

use datafusion::{
    common::{internal_err, tree_node::TreeNodeRecursion},
    datasource::{memory::MemorySourceConfig, source::DataSourceExec},
    error::Result,
    execution::{SendableRecordBatchStream, TaskContext},
    physical_expr::{EquivalenceProperties, PhysicalExpr},
    physical_plan::{
        ChildrenPropertiesMode, DisplayAs, DisplayFormatType, ExecutionPlan,
        ExecutionPlanProperties, Partitioning, PlanProperties, ReplaceChildrenOptions,
        execution_plan::{Boundedness, EmissionType},
        stream::RecordBatchStreamAdapter,
    },
};
use futures::{StreamExt, TryStreamExt, stream};

use crate::{job::Job, one, row};

/// Converts the files its child names, one at a time in each partition.
#[derive(Debug, Clone)]
pub(crate) struct ConvertExec {
    input: Arc<dyn ExecutionPlan>,
    job: Arc<Job>,
    properties: Arc<PlanProperties>,
}

impl ConvertExec {
    pub(crate) fn new(input: Arc<dyn ExecutionPlan>, job: Arc<Job>) -> Self {
        let properties = PlanProperties::new(
            EquivalenceProperties::new(row::output_schema()),
            Partitioning::UnknownPartitioning(input.output_partitioning().partition_count()),
            EmissionType::Incremental,
            Boundedness::Bounded,
        );
        Self { input, job, properties: Arc::new(properties) }
    }

    pub(crate) fn job(&self) -> &Job {
        &self.job
    }

    /// The plan that converts these groups of files.
    pub(crate) fn over(groups: &[Vec<String>], job: Job) -> Result<Arc<dyn ExecutionPlan>> {
        let partitions = groups
            .iter()
            .map(|paths| Ok(vec![row::paths_batch(paths)?]))
            .collect::<Result<Vec<_>>>()?;
        let source = MemorySourceConfig::try_new(&partitions, row::input_schema(), None)?;
        Ok(Arc::new(Self::new(DataSourceExec::from_data_source(source), Arc::new(job))))
    }
}

impl DisplayAs for ConvertExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ConvertExec: out={}", self.job.out)
    }
}

impl ExecutionPlan for ConvertExec {
    fn name(&self) -> &str {
        "ConvertExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![&self.input]
    }

    /// A round robin below would part the groups.
    fn benefits_from_input_partitioning(&self) -> Vec<bool> {
        vec![false]
    }

    fn apply_expressions(
        &self,
        _: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn replace_children(
        self: Arc<Self>,
        mut children: Vec<Arc<dyn ExecutionPlan>>,
        _: ReplaceChildrenOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let (Some(child), true) = (children.pop(), children.is_empty()) else {
            return internal_err!("{} has one child", type_name::<Self>());
        };
        // The scheduler gives each task a child with fewer partitions, so they are counted again.
        Ok(Arc::new(Self::new(child, Arc::clone(&self.job))))
    }

    fn with_new_children(
        self: Arc<Self>,
        children: Vec<Arc<dyn ExecutionPlan>>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let options = ReplaceChildrenOptions::new(ChildrenPropertiesMode::Recompute);
        self.replace_children(children, options)
    }

    fn execute(
        &self,
        partition: usize,
        context: Arc<TaskContext>,
    ) -> Result<SendableRecordBatchStream> {
        let job = Arc::clone(&self.job);
        let paths = self.input.execute(partition, context)?;
        let rows = paths
            .map_ok(|batch| stream::iter(row::texts(&batch).into_iter().map(Ok)))
            .try_flatten()
            .and_then(move |path| {
                let job = Arc::clone(&job);
                async move { row::row_batch(&one::convert(path, &job).await) }
            });
        Ok(Box::pin(RecordBatchStreamAdapter::new(row::output_schema(), rows.boxed())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(groups: usize) -> Arc<dyn ExecutionPlan> {
        let groups: Vec<_> = (0..groups).map(|n| vec![format!("/{n}.dbn")]).collect();
        let job = Job { out: "/store".parse().unwrap(), flags: Vec::new(), timeout_s: 0 };
        ConvertExec::over(&groups, job).unwrap()
    }

    #[test]
    fn partitions_follow_the_child() {
        let whole = plan(5);
        assert_eq!(whole.output_partitioning().partition_count(), 5);
        assert_eq!(whole.children().len(), 1, "a leaf would run whole in every task");
        let part = Arc::clone(plan(2).children()[0]);
        let options = ReplaceChildrenOptions::new(ChildrenPropertiesMode::Keep);
        let cut = whole.replace_children(vec![part], options).unwrap();
        assert_eq!(cut.output_partitioning().partition_count(), 2);
    }
}

//! Operations and shapes that the encoder reports to a profiler by itself.

use std::sync::Arc;

use lob_contrastive::{Device, EncoderConfig, NoisePairs, TrainConfig, train};
use lob_scope::{ScopeRecording, flops_counted, record_shapes};

#[test]
fn a_training_counts_its_operations_and_says_its_shapes() {
    let (steps, batch_size, n_inputs) = (4, 8, 32);
    let encoder = EncoderConfig { hidden: vec![16], embedding_dim: 8, ..EncoderConfig::simple() };
    let config = TrainConfig {
        steps,
        batch_size,
        encoder: encoder.clone(),
        device: Device::Cpu,
        ..TrainConfig::default()
    };
    let source = Arc::new(NoisePairs::new(64, n_inputs, 1));
    let quiet = flops_counted();
    train(source.clone(), &config).unwrap();
    assert_eq!(flops_counted(), quiet, "without a profiler nothing is counted");

    record_shapes(true);
    let recording = ScopeRecording::start("training");
    let before = flops_counted();
    {
        let _training = recording.enter();
        train(source, &config).unwrap();
    }
    let counted = flops_counted() - before;
    record_shapes(false);
    let of_steps = steps as u64 * encoder.step_flops(batch_size, n_inputs);
    assert!(counted >= of_steps, "{counted} of {of_steps}");
    // The evaluation at the end is forward passes over whole windows.
    let forward = encoder.forward_flops(n_inputs);
    assert_eq!((counted - of_steps) % forward, 0);
    let shapes = recording.finish().shapes;
    let forward = shapes.iter().find(|s| s.path.ends_with("forward")).unwrap();
    assert!(forward.shapes.contains(&vec![2 * batch_size, n_inputs]), "{shapes:?}");
}

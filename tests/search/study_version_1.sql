BEGIN TRANSACTION;
CREATE TABLE alembic_version (
	version_num VARCHAR(32) NOT NULL, 
	CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);
INSERT INTO "alembic_version" VALUES('v3.2.0.a');
CREATE TABLE automl_checkpoints (
	study_id INTEGER NOT NULL, 
	trial INTEGER NOT NULL, 
	epoch INTEGER NOT NULL, 
	path TEXT NOT NULL, 
	PRIMARY KEY (study_id, trial)
);
INSERT INTO "automl_checkpoints" VALUES(1,0,2,'/tmp/automl-ine4ggbr/trials/t0000/checkpoint');
INSERT INTO "automl_checkpoints" VALUES(1,2,2,'/tmp/automl-ine4ggbr/trials/t0002/checkpoint');
INSERT INTO "automl_checkpoints" VALUES(1,1,6,'/tmp/automl-ine4ggbr/trials/t0001/checkpoint');
INSERT INTO "automl_checkpoints" VALUES(1,7,2,'/tmp/automl-ine4ggbr/trials/t0007/checkpoint');
CREATE TABLE automl_decisions (
	id INTEGER NOT NULL, 
	study_id INTEGER NOT NULL, 
	trial INTEGER NOT NULL, 
	epoch INTEGER NOT NULL, 
	action VARCHAR(20) NOT NULL, 
	state VARCHAR(20) NOT NULL, 
	rung INTEGER, 
	reason TEXT NOT NULL, 
	time FLOAT NOT NULL, 
	at VARCHAR(40) NOT NULL, 
	PRIMARY KEY (id)
);
INSERT INTO "automl_decisions" VALUES(1,1,-1,0,'search','running',NULL,'a search began, with 0 trials',0.0,'2026-11-28T17:15:08.167+00:00');
INSERT INTO "automl_decisions" VALUES(2,1,0,0,'start','running',2,'a worker is free',0.0,'2026-11-28T17:15:08.212+00:00');
INSERT INTO "automl_decisions" VALUES(3,1,1,0,'start','running',2,'a worker is free',0.0,'2026-11-28T17:15:08.213+00:00');
INSERT INTO "automl_decisions" VALUES(4,1,0,1,'continue','running',NULL,'between rungs',1.0,'2026-11-28T17:15:08.213+00:00');
INSERT INTO "automl_decisions" VALUES(5,1,1,1,'continue','running',NULL,'between rungs',1.0,'2026-11-28T17:15:08.214+00:00');
INSERT INTO "automl_decisions" VALUES(6,1,0,2,'pause','paused',2,'rank 1 of 1 at epoch 2',2.0,'2026-11-28T17:15:08.214+00:00');
INSERT INTO "automl_decisions" VALUES(7,1,2,0,'start','running',2,'a worker is free',2.0,'2026-11-28T17:15:08.214+00:00');
INSERT INTO "automl_decisions" VALUES(8,1,1,2,'pause','paused',2,'rank 1 of 2 at epoch 2',2.0,'2026-11-28T17:15:08.215+00:00');
INSERT INTO "automl_decisions" VALUES(9,1,3,0,'start','running',2,'a worker is free',2.0,'2026-11-28T17:15:08.215+00:00');
INSERT INTO "automl_decisions" VALUES(10,1,2,1,'continue','running',NULL,'between rungs',3.0,'2026-11-28T17:15:08.215+00:00');
INSERT INTO "automl_decisions" VALUES(11,1,3,1,'continue','running',NULL,'between rungs',3.0,'2026-11-28T17:15:08.216+00:00');
INSERT INTO "automl_decisions" VALUES(12,1,3,1,'stop','failed',NULL,'ValueError: kind b cannot be trained (make.py:9 in step)',3.0,'2026-11-28T17:15:08.216+00:00');
INSERT INTO "automl_decisions" VALUES(13,1,4,0,'start','running',2,'a worker is free',3.0,'2026-11-28T17:15:08.224+00:00');
INSERT INTO "automl_decisions" VALUES(14,1,2,2,'pause','paused',2,'rank 2 of 3 at epoch 2',4.0,'2026-11-28T17:15:08.224+00:00');
INSERT INTO "automl_decisions" VALUES(15,1,1,2,'resume','running',2,'promoted: rank 1 of 3 at epoch 2',4.0,'2026-11-28T17:15:08.224+00:00');
INSERT INTO "automl_decisions" VALUES(16,1,4,1,'continue','running',NULL,'between rungs',4.0,'2026-11-28T17:15:08.224+00:00');
INSERT INTO "automl_decisions" VALUES(17,1,4,1,'stop','failed',NULL,'ValueError: kind b cannot be trained (make.py:9 in step)',4.0,'2026-11-28T17:15:08.224+00:00');
INSERT INTO "automl_decisions" VALUES(18,1,5,0,'start','running',2,'a worker is free',4.0,'2026-11-28T17:15:08.226+00:00');
INSERT INTO "automl_decisions" VALUES(19,1,1,3,'continue','running',NULL,'between rungs',5.0,'2026-11-28T17:15:08.227+00:00');
INSERT INTO "automl_decisions" VALUES(20,1,5,1,'continue','running',NULL,'between rungs',5.0,'2026-11-28T17:15:08.227+00:00');
INSERT INTO "automl_decisions" VALUES(21,1,5,1,'stop','failed',NULL,'ValueError: kind b cannot be trained (make.py:9 in step)',5.0,'2026-11-28T17:15:08.227+00:00');
INSERT INTO "automl_decisions" VALUES(22,1,6,0,'start','running',2,'a worker is free',5.0,'2026-11-28T17:15:08.228+00:00');
INSERT INTO "automl_decisions" VALUES(23,1,1,4,'continue','running',NULL,'between rungs',6.0,'2026-11-28T17:15:08.231+00:00');
INSERT INTO "automl_decisions" VALUES(24,1,6,1,'continue','running',NULL,'between rungs',6.0,'2026-11-28T17:15:08.231+00:00');
INSERT INTO "automl_decisions" VALUES(25,1,6,1,'stop','failed',NULL,'ValueError: kind b cannot be trained (make.py:9 in step)',6.0,'2026-11-28T17:15:08.231+00:00');
INSERT INTO "automl_decisions" VALUES(26,1,7,0,'start','running',2,'a worker is free',6.0,'2026-11-28T17:15:08.232+00:00');
INSERT INTO "automl_decisions" VALUES(27,1,1,5,'continue','running',NULL,'between rungs',7.0,'2026-11-28T17:15:08.232+00:00');
INSERT INTO "automl_decisions" VALUES(28,1,7,1,'continue','running',NULL,'between rungs',7.0,'2026-11-28T17:15:08.235+00:00');
INSERT INTO "automl_decisions" VALUES(29,1,1,6,'pause','paused',6,'rank 1 of 1 at epoch 6',8.0,'2026-11-28T17:15:08.235+00:00');
INSERT INTO "automl_decisions" VALUES(30,1,8,0,'start','running',2,'a worker is free',8.0,'2026-11-28T17:15:08.235+00:00');
INSERT INTO "automl_decisions" VALUES(31,1,7,2,'pause','paused',2,'rank 4 of 4 at epoch 2',8.0,'2026-11-28T17:15:08.236+00:00');
INSERT INTO "automl_decisions" VALUES(32,1,9,0,'start','running',2,'a worker is free',8.0,'2026-11-28T17:15:08.236+00:00');
INSERT INTO "automl_decisions" VALUES(33,1,8,1,'continue','running',NULL,'between rungs',9.0,'2026-11-28T17:15:08.236+00:00');
INSERT INTO "automl_decisions" VALUES(34,1,9,1,'continue','running',NULL,'between rungs',9.0,'2026-11-28T17:15:08.236+00:00');
INSERT INTO "automl_decisions" VALUES(35,1,8,1,'stop','failed',NULL,'ValueError: kind b cannot be trained (make.py:9 in step)',9.0,'2026-11-28T17:15:08.237+00:00');
INSERT INTO "automl_decisions" VALUES(36,1,10,0,'start','running',2,'a worker is free',9.0,'2026-11-28T17:15:08.238+00:00');
INSERT INTO "automl_decisions" VALUES(37,1,9,1,'pause','paused',NULL,'the search broke: KeyboardInterrupt',9.0,'2026-11-28T17:15:08.238+00:00');
CREATE TABLE automl_meta (
	study_id INTEGER NOT NULL, 
	schema_version INTEGER NOT NULL, 
	fingerprint TEXT NOT NULL, 
	at VARCHAR(40) NOT NULL, 
	PRIMARY KEY (study_id)
);
INSERT INTO "automl_meta" VALUES(1,1,'{"metric": "accuracy", "mode": "max", "max_epochs": 9, "space": {"parameters": {"x": {"low": 0.0, "high": 1.0}, "kind": ["a", "b"]}}}','2026-11-28T17:15:08.146+00:00');
CREATE TABLE automl_objectives (
	study_id INTEGER NOT NULL, 
	trial INTEGER NOT NULL, 
	name VARCHAR(100) NOT NULL, 
	mode VARCHAR(10) NOT NULL, 
	value FLOAT, 
	PRIMARY KEY (study_id, trial, name)
);
CREATE TABLE automl_reports (
	study_id INTEGER NOT NULL, 
	trial INTEGER NOT NULL, 
	epoch INTEGER NOT NULL, 
	value FLOAT, 
	seconds FLOAT NOT NULL, 
	metrics TEXT NOT NULL, 
	time FLOAT NOT NULL, 
	at VARCHAR(40) NOT NULL, 
	PRIMARY KEY (study_id, trial, epoch)
);
INSERT INTO "automl_reports" VALUES(1,0,1,0.25,1.0,'{"accuracy": 0.25}',1.0,'2026-11-28T17:15:08.213+00:00');
INSERT INTO "automl_reports" VALUES(1,1,1,5.35599348627328386562e-01,1.0,'{"accuracy": 0.5355993486273284}',1.0,'2026-11-28T17:15:08.214+00:00');
INSERT INTO "automl_reports" VALUES(1,0,2,0.75,1.0,'{"accuracy": 0.75}',2.0,'2026-11-28T17:15:08.214+00:00');
INSERT INTO "automl_reports" VALUES(1,1,2,1.60679804588198527071e+00,1.0,'{"accuracy": 1.6067980458819853}',2.0,'2026-11-28T17:15:08.215+00:00');
INSERT INTO "automl_reports" VALUES(1,2,1,3.86438478802688556434e-01,1.0,'{"accuracy": 0.38643847880268856}',3.0,'2026-11-28T17:15:08.215+00:00');
INSERT INTO "automl_reports" VALUES(1,3,1,5.75729427784863356798e-01,1.0,'{"accuracy": 0.5757294277848634}',3.0,'2026-11-28T17:15:08.216+00:00');
INSERT INTO "automl_reports" VALUES(1,2,2,1.15931543640806555828e+00,1.0,'{"accuracy": 1.1593154364080656}',4.0,'2026-11-28T17:15:08.224+00:00');
INSERT INTO "automl_reports" VALUES(1,4,1,1.32611331355695361011e-02,1.0,'{"accuracy": 0.013261133135569536}',4.0,'2026-11-28T17:15:08.224+00:00');
INSERT INTO "automl_reports" VALUES(1,1,3,3.21359609176397054142e+00,1.0,'{"accuracy": 3.2135960917639705}',5.0,'2026-11-28T17:15:08.227+00:00');
INSERT INTO "automl_reports" VALUES(1,5,1,1.326251663388079427e-01,1.0,'{"accuracy": 0.13262516633880794}',5.0,'2026-11-28T17:15:08.227+00:00');
INSERT INTO "automl_reports" VALUES(1,1,4,5.35599348627328453176e+00,1.0,'{"accuracy": 5.3559934862732845}',6.0,'2026-11-28T17:15:08.231+00:00');
INSERT INTO "automl_reports" VALUES(1,6,1,4.97479612997609343949e-01,1.0,'{"accuracy": 0.49747961299760934}',6.0,'2026-11-28T17:15:08.231+00:00');
INSERT INTO "automl_reports" VALUES(1,1,5,8.03399022940992679764e+00,1.0,'{"accuracy": 8.033990229409927}',7.0,'2026-11-28T17:15:08.232+00:00');
INSERT INTO "automl_reports" VALUES(1,7,1,1.08063846284362163885e-01,1.0,'{"accuracy": 0.10806384628436216}',7.0,'2026-11-28T17:15:08.235+00:00');
INSERT INTO "automl_reports" VALUES(1,1,6,1.12475863211738982274e+01,1.0,'{"accuracy": 11.247586321173898}',8.0,'2026-11-28T17:15:08.235+00:00');
INSERT INTO "automl_reports" VALUES(1,7,2,3.24191538853086491656e-01,1.0,'{"accuracy": 0.3241915388530865}',8.0,'2026-11-28T17:15:08.236+00:00');
INSERT INTO "automl_reports" VALUES(1,8,1,5.10084231688181732877e-01,1.0,'{"accuracy": 0.5100842316881817}',9.0,'2026-11-28T17:15:08.236+00:00');
INSERT INTO "automl_reports" VALUES(1,9,1,8.59879207561832892281e-01,1.0,'{"accuracy": 0.8598792075618329}',9.0,'2026-11-28T17:15:08.236+00:00');
CREATE TABLE automl_runs (
	id INTEGER NOT NULL, 
	study_id INTEGER NOT NULL, 
	trial INTEGER NOT NULL, 
	worker VARCHAR(80) NOT NULL, 
	node VARCHAR(255) NOT NULL, 
	pid INTEGER NOT NULL, 
	started FLOAT NOT NULL, 
	ended FLOAT, 
	PRIMARY KEY (id)
);
INSERT INTO "automl_runs" VALUES(1,1,0,'slot 0','vm',5691,0.0,2.0);
INSERT INTO "automl_runs" VALUES(2,1,1,'slot 1','vm',5691,0.0,2.0);
INSERT INTO "automl_runs" VALUES(3,1,2,'slot 0','vm',5691,2.0,4.0);
INSERT INTO "automl_runs" VALUES(4,1,3,'slot 1','vm',5691,2.0,3.0);
INSERT INTO "automl_runs" VALUES(5,1,4,'slot 1','vm',5691,3.0,4.0);
INSERT INTO "automl_runs" VALUES(6,1,1,'slot 0','vm',5691,4.0,8.0);
INSERT INTO "automl_runs" VALUES(7,1,5,'slot 1','vm',5691,4.0,5.0);
INSERT INTO "automl_runs" VALUES(8,1,6,'slot 1','vm',5691,5.0,6.0);
INSERT INTO "automl_runs" VALUES(9,1,7,'slot 1','vm',5691,6.0,8.0);
INSERT INTO "automl_runs" VALUES(10,1,8,'slot 0','vm',5691,8.0,9.0);
INSERT INTO "automl_runs" VALUES(11,1,9,'slot 1','vm',5691,8.0,9.0);
INSERT INTO "automl_runs" VALUES(12,1,10,'slot 0','vm',5691,9.0,NULL);
CREATE TABLE automl_trials (
	study_id INTEGER NOT NULL, 
	trial INTEGER NOT NULL, 
	config TEXT NOT NULL, 
	origin VARCHAR(40) NOT NULL, 
	time FLOAT NOT NULL, 
	PRIMARY KEY (study_id, trial)
);
INSERT INTO "automl_trials" VALUES(1,0,'{"x": 0.25, "kind": "a"}','portfolio',0.0);
INSERT INTO "automl_trials" VALUES(1,1,'{"x": 0.5355993486273284, "kind": "a"}','sampler',0.0);
INSERT INTO "automl_trials" VALUES(1,2,'{"x": 0.38643847880268856, "kind": "a"}','sampler',2.0);
INSERT INTO "automl_trials" VALUES(1,3,'{"x": 0.5757294277848634, "kind": "b", "extra": 0.8865089353235853}','sampler',2.0);
INSERT INTO "automl_trials" VALUES(1,4,'{"x": 0.013261133135569536, "kind": "b", "extra": 0.990166497558688}','sampler',3.0);
INSERT INTO "automl_trials" VALUES(1,5,'{"x": 0.13262516633880794, "kind": "b", "extra": 0.9103234525083022}','sampler',4.0);
INSERT INTO "automl_trials" VALUES(1,6,'{"x": 0.49747961299760934, "kind": "b", "extra": 0.5038068210920227}','sampler',5.0);
INSERT INTO "automl_trials" VALUES(1,7,'{"x": 0.10806384628436216, "kind": "a"}','sampler',6.0);
INSERT INTO "automl_trials" VALUES(1,8,'{"x": 0.5100842316881817, "kind": "b", "extra": 0.30336035920893045}','sampler',8.0);
INSERT INTO "automl_trials" VALUES(1,9,'{"x": 0.8598792075618329, "kind": "a"}','sampler',8.0);
INSERT INTO "automl_trials" VALUES(1,10,'{"x": 0.12322969721183086, "kind": "a"}','sampler',9.0);
CREATE TABLE studies (
	study_id INTEGER NOT NULL, 
	study_name VARCHAR(512) NOT NULL, 
	PRIMARY KEY (study_id)
);
INSERT INTO "studies" VALUES(1,'old');
CREATE TABLE study_directions (
	study_direction_id INTEGER NOT NULL, 
	direction VARCHAR(8) NOT NULL, 
	study_id INTEGER NOT NULL, 
	objective INTEGER NOT NULL, 
	PRIMARY KEY (study_direction_id), 
	UNIQUE (study_id, objective), 
	FOREIGN KEY(study_id) REFERENCES studies (study_id)
);
INSERT INTO "study_directions" VALUES(1,'MAXIMIZE',1,0);
CREATE TABLE study_system_attributes (
	study_system_attribute_id INTEGER NOT NULL, 
	study_id INTEGER, 
	"key" VARCHAR(512), 
	value_json TEXT, 
	PRIMARY KEY (study_system_attribute_id), 
	UNIQUE (study_id, "key"), 
	FOREIGN KEY(study_id) REFERENCES studies (study_id)
);
INSERT INTO "study_system_attributes" VALUES(1,1,'study:metric_names','["accuracy"]');
CREATE TABLE study_user_attributes (
	study_user_attribute_id INTEGER NOT NULL, 
	study_id INTEGER, 
	"key" VARCHAR(512), 
	value_json TEXT, 
	PRIMARY KEY (study_user_attribute_id), 
	UNIQUE (study_id, "key"), 
	FOREIGN KEY(study_id) REFERENCES studies (study_id)
);
CREATE TABLE trial_heartbeats (
	trial_heartbeat_id INTEGER NOT NULL, 
	trial_id INTEGER NOT NULL, 
	heartbeat DATETIME NOT NULL, 
	PRIMARY KEY (trial_heartbeat_id), 
	UNIQUE (trial_id), 
	FOREIGN KEY(trial_id) REFERENCES trials (trial_id)
);
CREATE TABLE trial_intermediate_values (
	trial_intermediate_value_id INTEGER NOT NULL, 
	trial_id INTEGER NOT NULL, 
	step INTEGER NOT NULL, 
	intermediate_value FLOAT, 
	intermediate_value_type VARCHAR(7) NOT NULL, 
	PRIMARY KEY (trial_intermediate_value_id), 
	UNIQUE (trial_id, step), 
	FOREIGN KEY(trial_id) REFERENCES trials (trial_id)
);
INSERT INTO "trial_intermediate_values" VALUES(1,1,1,0.25,'FINITE');
INSERT INTO "trial_intermediate_values" VALUES(2,2,1,5.35599348627328386562e-01,'FINITE');
INSERT INTO "trial_intermediate_values" VALUES(3,1,2,0.75,'FINITE');
INSERT INTO "trial_intermediate_values" VALUES(4,2,2,1.60679804588198527071e+00,'FINITE');
INSERT INTO "trial_intermediate_values" VALUES(5,3,1,3.86438478802688556434e-01,'FINITE');
INSERT INTO "trial_intermediate_values" VALUES(6,4,1,5.75729427784863356798e-01,'FINITE');
INSERT INTO "trial_intermediate_values" VALUES(7,3,2,1.15931543640806555828e+00,'FINITE');
INSERT INTO "trial_intermediate_values" VALUES(8,5,1,1.32611331355695361011e-02,'FINITE');
INSERT INTO "trial_intermediate_values" VALUES(9,2,3,3.21359609176397054142e+00,'FINITE');
INSERT INTO "trial_intermediate_values" VALUES(10,6,1,1.326251663388079427e-01,'FINITE');
INSERT INTO "trial_intermediate_values" VALUES(11,2,4,5.35599348627328453176e+00,'FINITE');
INSERT INTO "trial_intermediate_values" VALUES(12,7,1,4.97479612997609343949e-01,'FINITE');
INSERT INTO "trial_intermediate_values" VALUES(13,2,5,8.03399022940992679764e+00,'FINITE');
INSERT INTO "trial_intermediate_values" VALUES(14,8,1,1.08063846284362163885e-01,'FINITE');
INSERT INTO "trial_intermediate_values" VALUES(15,2,6,1.12475863211738982274e+01,'FINITE');
INSERT INTO "trial_intermediate_values" VALUES(16,8,2,3.24191538853086491656e-01,'FINITE');
INSERT INTO "trial_intermediate_values" VALUES(17,9,1,5.10084231688181732877e-01,'FINITE');
INSERT INTO "trial_intermediate_values" VALUES(18,10,1,8.59879207561832892281e-01,'FINITE');
CREATE TABLE trial_params (
	param_id INTEGER NOT NULL, 
	trial_id INTEGER, 
	param_name VARCHAR(512), 
	param_value FLOAT, 
	distribution_json TEXT, 
	PRIMARY KEY (param_id), 
	UNIQUE (trial_id, param_name), 
	FOREIGN KEY(trial_id) REFERENCES trials (trial_id)
);
INSERT INTO "trial_params" VALUES(1,1,'x',0.25,'{"name": "FloatDistribution", "attributes": {"step": null, "low": 0.0, "high": 1.0, "log": false}}');
INSERT INTO "trial_params" VALUES(2,1,'kind',0.0,'{"name": "CategoricalDistribution", "attributes": {"choices": ["a", "b"]}}');
INSERT INTO "trial_params" VALUES(3,2,'x',5.35599348627328386562e-01,'{"name": "FloatDistribution", "attributes": {"step": null, "low": 0.0, "high": 1.0, "log": false}}');
INSERT INTO "trial_params" VALUES(4,2,'kind',0.0,'{"name": "CategoricalDistribution", "attributes": {"choices": ["a", "b"]}}');
INSERT INTO "trial_params" VALUES(5,3,'x',3.86438478802688556434e-01,'{"name": "FloatDistribution", "attributes": {"step": null, "low": 0.0, "high": 1.0, "log": false}}');
INSERT INTO "trial_params" VALUES(6,3,'kind',0.0,'{"name": "CategoricalDistribution", "attributes": {"choices": ["a", "b"]}}');
INSERT INTO "trial_params" VALUES(7,4,'x',5.75729427784863356798e-01,'{"name": "FloatDistribution", "attributes": {"step": null, "low": 0.0, "high": 1.0, "log": false}}');
INSERT INTO "trial_params" VALUES(8,4,'kind',1.0,'{"name": "CategoricalDistribution", "attributes": {"choices": ["a", "b"]}}');
INSERT INTO "trial_params" VALUES(9,4,'extra',8.86508935323585323118e-01,'{"name": "FloatDistribution", "attributes": {"step": null, "low": 0.0, "high": 1.0, "log": false}}');
INSERT INTO "trial_params" VALUES(10,5,'x',1.32611331355695361011e-02,'{"name": "FloatDistribution", "attributes": {"step": null, "low": 0.0, "high": 1.0, "log": false}}');
INSERT INTO "trial_params" VALUES(11,5,'kind',1.0,'{"name": "CategoricalDistribution", "attributes": {"choices": ["a", "b"]}}');
INSERT INTO "trial_params" VALUES(12,5,'extra',0.990166497558688,'{"name": "FloatDistribution", "attributes": {"step": null, "low": 0.0, "high": 1.0, "log": false}}');
INSERT INTO "trial_params" VALUES(13,6,'x',1.326251663388079427e-01,'{"name": "FloatDistribution", "attributes": {"step": null, "low": 0.0, "high": 1.0, "log": false}}');
INSERT INTO "trial_params" VALUES(14,6,'kind',1.0,'{"name": "CategoricalDistribution", "attributes": {"choices": ["a", "b"]}}');
INSERT INTO "trial_params" VALUES(15,6,'extra',9.1032345250830215555e-01,'{"name": "FloatDistribution", "attributes": {"step": null, "low": 0.0, "high": 1.0, "log": false}}');
INSERT INTO "trial_params" VALUES(16,7,'x',4.97479612997609343949e-01,'{"name": "FloatDistribution", "attributes": {"step": null, "low": 0.0, "high": 1.0, "log": false}}');
INSERT INTO "trial_params" VALUES(17,7,'kind',1.0,'{"name": "CategoricalDistribution", "attributes": {"choices": ["a", "b"]}}');
INSERT INTO "trial_params" VALUES(18,7,'extra',5.03806821092022683039e-01,'{"name": "FloatDistribution", "attributes": {"step": null, "low": 0.0, "high": 1.0, "log": false}}');
INSERT INTO "trial_params" VALUES(19,8,'x',1.08063846284362163885e-01,'{"name": "FloatDistribution", "attributes": {"step": null, "low": 0.0, "high": 1.0, "log": false}}');
INSERT INTO "trial_params" VALUES(20,8,'kind',0.0,'{"name": "CategoricalDistribution", "attributes": {"choices": ["a", "b"]}}');
INSERT INTO "trial_params" VALUES(21,9,'x',5.10084231688181732877e-01,'{"name": "FloatDistribution", "attributes": {"step": null, "low": 0.0, "high": 1.0, "log": false}}');
INSERT INTO "trial_params" VALUES(22,9,'kind',1.0,'{"name": "CategoricalDistribution", "attributes": {"choices": ["a", "b"]}}');
INSERT INTO "trial_params" VALUES(23,9,'extra',3.03360359208930452368e-01,'{"name": "FloatDistribution", "attributes": {"step": null, "low": 0.0, "high": 1.0, "log": false}}');
INSERT INTO "trial_params" VALUES(24,10,'x',8.59879207561832892281e-01,'{"name": "FloatDistribution", "attributes": {"step": null, "low": 0.0, "high": 1.0, "log": false}}');
INSERT INTO "trial_params" VALUES(25,10,'kind',0.0,'{"name": "CategoricalDistribution", "attributes": {"choices": ["a", "b"]}}');
INSERT INTO "trial_params" VALUES(26,11,'x',1.23229697211830857561e-01,'{"name": "FloatDistribution", "attributes": {"step": null, "low": 0.0, "high": 1.0, "log": false}}');
INSERT INTO "trial_params" VALUES(27,11,'kind',0.0,'{"name": "CategoricalDistribution", "attributes": {"choices": ["a", "b"]}}');
CREATE TABLE trial_system_attributes (
	trial_system_attribute_id INTEGER NOT NULL, 
	trial_id INTEGER, 
	"key" VARCHAR(512), 
	value_json TEXT, 
	PRIMARY KEY (trial_system_attribute_id), 
	UNIQUE (trial_id, "key"), 
	FOREIGN KEY(trial_id) REFERENCES trials (trial_id)
);
INSERT INTO "trial_system_attributes" VALUES(1,1,'fixed_params','{"x": 0.25, "kind": "a"}');
CREATE TABLE trial_user_attributes (
	trial_user_attribute_id INTEGER NOT NULL, 
	trial_id INTEGER, 
	"key" VARCHAR(512), 
	value_json TEXT, 
	PRIMARY KEY (trial_user_attribute_id), 
	UNIQUE (trial_id, "key"), 
	FOREIGN KEY(trial_id) REFERENCES trials (trial_id)
);
INSERT INTO "trial_user_attributes" VALUES(1,1,'origin','"portfolio"');
INSERT INTO "trial_user_attributes" VALUES(2,2,'origin','"sampler"');
INSERT INTO "trial_user_attributes" VALUES(3,1,'paused','"after epoch 2: rank 1 of 1 at epoch 2"');
INSERT INTO "trial_user_attributes" VALUES(4,3,'origin','"sampler"');
INSERT INTO "trial_user_attributes" VALUES(5,2,'paused','"after epoch 6: rank 1 of 1 at epoch 6"');
INSERT INTO "trial_user_attributes" VALUES(6,4,'origin','"sampler"');
INSERT INTO "trial_user_attributes" VALUES(7,4,'cause','"ValueError: kind b cannot be trained (make.py:9 in step)"');
INSERT INTO "trial_user_attributes" VALUES(8,5,'origin','"sampler"');
INSERT INTO "trial_user_attributes" VALUES(9,3,'paused','"after epoch 2: rank 2 of 3 at epoch 2"');
INSERT INTO "trial_user_attributes" VALUES(10,5,'cause','"ValueError: kind b cannot be trained (make.py:9 in step)"');
INSERT INTO "trial_user_attributes" VALUES(11,6,'origin','"sampler"');
INSERT INTO "trial_user_attributes" VALUES(12,6,'cause','"ValueError: kind b cannot be trained (make.py:9 in step)"');
INSERT INTO "trial_user_attributes" VALUES(13,7,'origin','"sampler"');
INSERT INTO "trial_user_attributes" VALUES(14,7,'cause','"ValueError: kind b cannot be trained (make.py:9 in step)"');
INSERT INTO "trial_user_attributes" VALUES(15,8,'origin','"sampler"');
INSERT INTO "trial_user_attributes" VALUES(16,9,'origin','"sampler"');
INSERT INTO "trial_user_attributes" VALUES(17,8,'paused','"after epoch 2: rank 4 of 4 at epoch 2"');
INSERT INTO "trial_user_attributes" VALUES(18,10,'origin','"sampler"');
INSERT INTO "trial_user_attributes" VALUES(19,9,'cause','"ValueError: kind b cannot be trained (make.py:9 in step)"');
INSERT INTO "trial_user_attributes" VALUES(20,11,'origin','"sampler"');
INSERT INTO "trial_user_attributes" VALUES(21,10,'paused','"after epoch 0: the search broke: KeyboardInterrupt"');
CREATE TABLE trial_values (
	trial_value_id INTEGER NOT NULL, 
	trial_id INTEGER NOT NULL, 
	objective INTEGER NOT NULL, 
	value FLOAT, 
	value_type VARCHAR(7) NOT NULL, 
	PRIMARY KEY (trial_value_id), 
	UNIQUE (trial_id, objective), 
	FOREIGN KEY(trial_id) REFERENCES trials (trial_id)
);
CREATE TABLE trials (
	trial_id INTEGER NOT NULL, 
	number INTEGER, 
	study_id INTEGER, 
	state VARCHAR(8) NOT NULL, 
	datetime_start DATETIME, 
	datetime_complete DATETIME, 
	PRIMARY KEY (trial_id), 
	FOREIGN KEY(study_id) REFERENCES studies (study_id)
);
INSERT INTO "trials" VALUES(1,0,1,'WAITING','2026-11-28 17:15:08.212366',NULL);
INSERT INTO "trials" VALUES(2,1,1,'WAITING','2026-11-28 17:15:08.224542',NULL);
INSERT INTO "trials" VALUES(3,2,1,'WAITING','2026-11-28 17:15:08.214811',NULL);
INSERT INTO "trials" VALUES(4,3,1,'FAIL','2026-11-28 17:15:08.215421','2026-11-28 17:15:08.216359');
INSERT INTO "trials" VALUES(5,4,1,'FAIL','2026-11-28 17:15:08.224156','2026-11-28 17:15:08.224973');
INSERT INTO "trials" VALUES(6,5,1,'FAIL','2026-11-28 17:15:08.226882','2026-11-28 17:15:08.227329');
INSERT INTO "trials" VALUES(7,6,1,'FAIL','2026-11-28 17:15:08.228538','2026-11-28 17:15:08.231392');
INSERT INTO "trials" VALUES(8,7,1,'WAITING','2026-11-28 17:15:08.232332',NULL);
INSERT INTO "trials" VALUES(9,8,1,'FAIL','2026-11-28 17:15:08.235912','2026-11-28 17:15:08.237204');
INSERT INTO "trials" VALUES(10,9,1,'WAITING','2026-11-28 17:15:08.236415',NULL);
INSERT INTO "trials" VALUES(11,10,1,'RUNNING','2026-11-28 17:15:08.238379',NULL);
CREATE TABLE version_info (
	version_info_id INTEGER NOT NULL, 
	schema_version INTEGER, 
	library_version VARCHAR(256), 
	PRIMARY KEY (version_info_id), 
	CHECK (version_info_id=1)
);
INSERT INTO "version_info" VALUES(1,12,'5.0.0');
CREATE UNIQUE INDEX ix_studies_study_name ON studies (study_name);
CREATE INDEX ix_trials_study_id ON trials (study_id);
CREATE INDEX automl_decisions_by_trial ON automl_decisions (study_id, trial);
CREATE INDEX automl_runs_by_trial ON automl_runs (study_id, trial);
COMMIT;

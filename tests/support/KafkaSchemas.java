import java.lang.reflect.Field;
import org.apache.kafka.common.message.ApiMessageType;
import org.apache.kafka.common.protocol.types.BoundField;
import org.apache.kafka.common.protocol.types.Schema;
import org.apache.kafka.common.protocol.types.TaggedFields;
import org.apache.kafka.common.protocol.types.Type;

/**
 * Prints the schemas of Apache Kafka's own messages, as its generated classes describe them.
 *
 *     == 0 request 3                             an API key, a side and a version; or a class of coordinator records and a version
 *     - acks INT16                               one field, with one hyphen per level
 *     - #1 node_endpoints COMPACT_ARRAY          a tagged field
 *
 * Arguments: names of classes with a SCHEMAS table, for the records of internal topics.
 */
public class KafkaSchemas {
    static final StringBuilder out = new StringBuilder();

    static void fields(Schema schema, String level) {
        for (BoundField field : schema.fields()) {
            if (field.def.type instanceof TaggedFields tagged) {
                tagged.fields().forEach((tag, inner) -> field(level, "#" + tag + " " + inner.name, inner.type));
            } else {
                field(level, field.def.name, field.def.type);
            }
        }
    }

    static void field(String level, String name, Type type) {
        out.append(level).append(' ').append(name).append(' ');
        String end = type.isNullable() ? "?\n" : "\n";
        if (type.arrayElementType().isPresent()) {
            Type element = type.arrayElementType().get();
            out.append("[]").append(element instanceof Schema ? "STRUCT" : element.toString()).append(end);
            if (element instanceof Schema inner) {
                fields(inner, level + "-");
            }
        } else if (type instanceof Schema inner) {
            out.append("STRUCT").append(end);
            fields(inner, level + "-");
        } else {
            out.append(type).append(end);
        }
    }

    static void versions(String title, Schema[] schemas) {
        for (int version = 0; version < schemas.length; version++) {
            if (schemas[version] != null) {
                out.append("== ").append(title).append(' ').append(version).append('\n');
                fields(schemas[version], "-");
            }
        }
    }

    public static void main(String[] arguments) throws Exception {
        for (ApiMessageType api : ApiMessageType.values()) {
            versions(api.apiKey() + " request", api.requestSchemas());
            versions(api.apiKey() + " response", api.responseSchemas());
        }
        for (String name : arguments) {
            Field schemas = Class.forName(name).getField("SCHEMAS");
            versions(name.substring(name.lastIndexOf('.') + 1), (Schema[]) schemas.get(null));
        }
        System.out.print(out);
    }
}

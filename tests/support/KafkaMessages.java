import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.lang.reflect.Field;
import java.nio.ByteBuffer;
import java.util.HexFormat;
import org.apache.kafka.common.message.ApiMessageType;
import org.apache.kafka.common.protocol.ByteBufferAccessor;
import org.apache.kafka.common.protocol.Message;
import org.apache.kafka.common.protocol.MessageUtil;
import org.apache.kafka.common.protocol.Readable;
import org.apache.kafka.common.protocol.types.BoundField;
import org.apache.kafka.common.protocol.types.Schema;
import org.apache.kafka.common.protocol.types.TaggedFields;
import org.apache.kafka.common.protocol.types.Type;

/**
 * Shows what Apache Kafka's own generated classes know of messages.
 *
 * With names of classes as arguments (records of internal topics): the schemas of all requests, responses and these classes.
 *
 *     == 0 request 3                             an API key, a side and a version; or a class of records and a version
 *     - acks INT16                               one field, with one hyphen per level
 *     - #1 node_endpoints []STRUCT               a tagged field
 *
 * Without arguments: reads lines `<class> <version> <hex>` and answers each with the message's bytes as Kafka writes them after it
 * has read them, or, when there are none to read, with those of a message of defaults.
 */
public class KafkaMessages {
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

    static String rewritten(String name, short version, String hex) throws Exception {
        Class<?> type = Class.forName(name);
        ByteBufferAccessor bytes = new ByteBufferAccessor(ByteBuffer.wrap(HexFormat.of().parseHex(hex)));
        Message message = (Message) (hex.isEmpty()
            ? type.getConstructor().newInstance()
            : type.getConstructor(Readable.class, short.class).newInstance(bytes, version));
        if (bytes.remaining() > 0) {
            return bytes.remaining() + " bytes left";
        }
        ByteBuffer written = MessageUtil.toByteBufferAccessor(message, version).buffer();
        byte[] out = new byte[written.remaining()];
        written.get(out);
        return HexFormat.of().formatHex(out);
    }

    public static void main(String[] arguments) throws Exception {
        if (arguments.length == 0) {
            BufferedReader in = new BufferedReader(new InputStreamReader(System.in));
            for (String line = in.readLine(); line != null; line = in.readLine()) {
                String[] words = line.split(" ", -1);
                out.append(rewritten(words[0], Short.parseShort(words[1]), words[2])).append('\n');
            }
            System.out.print(out);
            return;
        }
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
